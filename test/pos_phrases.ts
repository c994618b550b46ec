/**
 * Report phrases in the manner of MS-CXR, tagged by hand with Universal POS tags as a radiologist's reader would.
 *
 * One tag for each word once punctuation is gone. Conventions: proper nouns and abbreviations count as NOUN; forms of
 * "be" are AUX, "has" is AUX before a participle and VERB otherwise; participles are ADJ where they describe a finding
 * ("enlarged heart", "layering effusion") and VERB where a clause hangs on them ("seen", "measuring 3 cm"); sides are
 * ADJ, and NOUN in "on the left"; ordinals and measures joined by a hyphen are ADJ, units NOUN, "x" between numbers SYM.
 *
 * The radiology lexicon was written with the tagger's errors on `developmentPhrases` in view. `heldOutPhrases` were
 * tagged before the tagger saw them, and its errors there have not been fed back; phrases and lexicon are by one hand
 * all the same, so the accuracy on reports of other hands may be lower.
 */
export type TaggedPhrase = readonly [phrase: string, tags: string];

export const developmentPhrases: readonly TaggedPhrase[] = [
  // Atelectasis
  ["bibasilar atelectasis", "ADJ NOUN"],
  ["Linear atelectasis in the right lower lobe", "ADJ NOUN ADP DET ADJ ADJ NOUN"],
  ["Left basilar plate-like atelectasis.", "ADJ ADJ ADJ NOUN"],
  ["Streaky retrocardiac opacity likely reflects atelectasis", "ADJ ADJ NOUN ADV VERB NOUN"],
  ["Low lung volumes with bibasilar atelectatic changes", "ADJ NOUN NOUN ADP ADJ ADJ NOUN"],
  ["Subsegmental atelectasis at both lung bases", "ADJ NOUN ADP DET NOUN NOUN"],
  // Cardiomegaly
  ["Mild cardiomegaly", "ADJ NOUN"],
  ["The heart is moderately enlarged", "DET NOUN AUX ADV ADJ"],
  ["Cardiac silhouette remains enlarged", "ADJ NOUN VERB ADJ"],
  ["stable enlargement of the cardiac silhouette", "ADJ NOUN ADP DET ADJ NOUN"],
  ["heart size is top normal", "NOUN NOUN AUX ADJ ADJ"],
  // Consolidation
  ["Right upper lobe consolidation", "ADJ ADJ NOUN NOUN"],
  ["Dense consolidation with air bronchograms in the lingula", "ADJ NOUN ADP NOUN NOUN ADP DET NOUN"],
  ["There is a new consolidation in the RLL", "PRON AUX DET ADJ NOUN ADP DET NOUN"],
  ["multifocal consolidative opacities", "ADJ ADJ NOUN"],
  ["LLL consolidation, concerning for pneumonia", "NOUN NOUN ADJ ADP NOUN"],
  // Edema
  ["mild interstitial pulmonary edema", "ADJ ADJ ADJ NOUN"],
  ["Pulmonary edema has improved", "ADJ NOUN AUX VERB"],
  ["Perihilar haziness consistent with mild edema", "ADJ NOUN ADJ ADP ADJ NOUN"],
  ["vascular congestion without overt edema", "ADJ NOUN ADP ADJ NOUN"],
  ["Moderate-to-severe pulmonary edema", "ADJ ADJ NOUN"],
  // Lung Opacity
  ["Hazy opacity in the left mid lung", "ADJ NOUN ADP DET ADJ ADJ NOUN"],
  ["Ill-defined patchy opacities are again seen in both lower lobes", "ADJ ADJ NOUN AUX ADV VERB ADP DET ADJ NOUN"],
  ["4 mm nodular opacity projecting over the right 5th rib", "NUM NOUN ADJ NOUN VERB ADP DET ADJ ADJ NOUN"],
  ["Ground-glass opacities, right greater than left", "ADJ NOUN ADJ ADJ ADP ADJ"],
  [
    "Vague opacity at the RIGHT lung base may represent atelectasis or early infection",
    "ADJ NOUN ADP DET ADJ NOUN NOUN AUX VERB NOUN CCONJ ADJ NOUN",
  ],
  // Pleural Effusion
  ["Small left pleural effusion", "ADJ ADJ ADJ NOUN"],
  ["bilateral pleural effusions, left larger than right", "ADJ ADJ NOUN ADJ ADJ ADP ADJ"],
  ["Blunting of the left costophrenic angle", "NOUN ADP DET ADJ ADJ NOUN"],
  ["There is no pleural effusion", "PRON AUX DET ADJ NOUN"],
  ["Layering right-sided effusion", "ADJ ADJ NOUN"],
  ["trace bilateral effusions cannot be excluded", "ADJ ADJ NOUN AUX PART AUX VERB"],
  // Pneumonia
  ["Findings suggestive of multifocal pneumonia", "NOUN ADJ ADP ADJ NOUN"],
  ["right middle lobe pneumonia", "ADJ ADJ NOUN NOUN"],
  [
    "This could represent aspiration pneumonia in the appropriate clinical setting",
    "PRON AUX VERB NOUN NOUN ADP DET ADJ ADJ NOUN",
  ],
  ["Patchy infiltrate, possibly pneumonia", "ADJ NOUN ADV NOUN"],
  // Pneumothorax
  ["Large right apical pneumothorax.", "ADJ ADJ ADJ NOUN"],
  ["tiny left apical pneumothorax is unchanged", "ADJ ADJ ADJ NOUN AUX ADJ"],
  ["No evidence of pneumothorax", "DET NOUN ADP NOUN"],
  ["Right hydropneumothorax measuring up to 2.5 cm", "ADJ NOUN VERB ADP ADP NUM NOUN"],
  // Lines, tubes, devices
  ["The endotracheal tube terminates 3 cm above the carina", "DET ADJ NOUN VERB NUM NOUN ADP DET NOUN"],
  ["Right IJ central line tip at the cavoatrial junction", "ADJ NOUN ADJ NOUN NOUN ADP DET ADJ NOUN"],
  ["NG tube coiled in the stomach", "NOUN NOUN VERB ADP DET NOUN"],
  ["Left chest tube has been removed", "ADJ NOUN NOUN AUX AUX VERB"],
  [
    "Dual-lead pacemaker with leads in the right atrium and right ventricle",
    "ADJ NOUN ADP NOUN ADP DET ADJ NOUN CCONJ ADJ NOUN",
  ],
  ["status post median sternotomy and CABG", "NOUN ADP ADJ NOUN CCONJ NOUN"],
  // Everything else
  ["PA and lateral views of the chest", "NOUN CCONJ ADJ NOUN ADP DET NOUN"],
  ["compared to the prior study, effusion has increased", "VERB ADP DET ADJ NOUN NOUN AUX VERB"],
  ["Lungs are clear bilaterally", "NOUN AUX ADJ ADV"],
  ["s/p left thoracotomy w/o pneumothorax", "ADP ADJ NOUN ADP NOUN"],
  ["2.3 x 1.8 cm mass in the LUL", "NUM SYM NUM NOUN NOUN ADP DET NOUN"],
  ["Elevated right hemidiaphragm", "ADJ ADJ NOUN"],
  ["the mediastinal contours are not widened", "DET ADJ NOUN AUX PART ADJ"],
  ["Healed left-sided rib fractures", "ADJ ADJ NOUN NOUN"],
];

export const heldOutPhrases: readonly TaggedPhrase[] = [
  // Atelectasis
  ["Discoid atelectasis at the left lung base", "ADJ NOUN ADP DET ADJ NOUN NOUN"],
  ["Near complete collapse of the right lung", "ADV ADJ NOUN ADP DET ADJ NOUN"],
  ["Volume loss in the left hemithorax", "NOUN NOUN ADP DET ADJ NOUN"],
  ["Minor bibasal atelectasis, unchanged since the previous examination", "ADJ ADJ NOUN ADJ ADP DET ADJ NOUN"],
  ["Rounded atelectasis abutting the thickened pleura", "ADJ NOUN VERB DET ADJ NOUN"],
  ["Compressive atelectasis adjacent to the effusion", "ADJ NOUN ADJ ADP DET NOUN"],
  // Cardiomegaly
  ["Cardiomegaly is noted", "NOUN AUX VERB"],
  ["Severely enlarged cardiac silhouette", "ADV ADJ ADJ NOUN"],
  ["The cardiomediastinal silhouette is slightly prominent", "DET ADJ NOUN AUX ADV ADJ"],
  ["cardiothoracic ratio exceeds 50%", "ADJ NOUN VERB NUM"],
  ["globular heart shadow which has grown over time", "ADJ NOUN NOUN PRON AUX VERB ADP NOUN"],
  // Consolidation
  ["Confluent consolidation throughout the left lung", "ADJ NOUN ADP DET ADJ NOUN"],
  ["Focal airspace consolidation within the right middle lobe", "ADJ NOUN NOUN ADP DET ADJ ADJ NOUN"],
  ["Worsening left lower lobe consolidations", "ADJ ADJ ADJ NOUN NOUN"],
  ["No focal consolidation is identified", "DET ADJ NOUN AUX VERB"],
  ["wedge-shaped RUL consolidation bounded by the minor fissure", "ADJ NOUN NOUN VERB ADP DET ADJ NOUN"],
  // Edema
  ["Asymmetric alveolar edema, more severe on the right", "ADJ ADJ NOUN ADV ADJ ADP DET NOUN"],
  ["Cephalization of vessels and Kerley B lines", "NOUN ADP NOUN CCONJ NOUN NOUN NOUN"],
  ["Engorged hilar vessels indicating fluid overload", "ADJ ADJ NOUN VERB NOUN NOUN"],
  ["pulmonary vascular redistribution but no frank edema", "ADJ ADJ NOUN CCONJ DET ADJ NOUN"],
  ["Mild-moderate edema, slightly worse than yesterday", "ADJ NOUN ADV ADJ ADP NOUN"],
  // Lung Opacity
  ["Reticular opacities predominantly in the periphery", "ADJ NOUN ADV ADP DET NOUN"],
  ["A spiculated 18-mm nodule overlies the left clavicle", "DET ADJ ADJ NOUN VERB DET ADJ NOUN"],
  ["Heterogeneous opacification of the entire right hemithorax", "ADJ NOUN ADP DET ADJ ADJ NOUN"],
  ["Several calcified granulomas are scattered in the upper zones", "ADJ ADJ NOUN AUX VERB ADP DET ADJ NOUN"],
  ["Increased density behind the heart", "ADJ NOUN ADP DET NOUN"],
  ["Opacities have almost completely resolved", "NOUN AUX ADV ADV VERB"],
  // Pleural Effusion
  ["Loculated fluid along the right lateral chest wall", "ADJ NOUN ADP DET ADJ ADJ NOUN NOUN"],
  ["Meniscus sign on the left", "NOUN NOUN ADP DET NOUN"],
  ["Moderate-sized effusion tracking into the major fissure", "ADJ NOUN VERB ADP DET ADJ NOUN"],
  ["Neither effusion nor pneumothorax", "CCONJ NOUN CCONJ NOUN"],
  ["Subpulmonic effusion cannot be ruled out", "ADJ NOUN AUX PART AUX VERB ADP"],
  ["L > R pleural effusions", "NOUN SYM NOUN ADJ NOUN"],
  // Pneumonia
  ["Airspace disease compatible with lobar pneumonia", "NOUN NOUN ADJ ADP ADJ NOUN"],
  ["Bronchopneumonia should be considered", "NOUN AUX AUX VERB"],
  ["Resolving pneumonia in the superior segment", "ADJ NOUN ADP DET ADJ NOUN"],
  ["Cavitary lesion worrisome for necrotizing infection", "ADJ NOUN ADJ ADP ADJ NOUN"],
  // Pneumothorax
  ["Loculated basilar pneumothorax without mediastinal shift", "ADJ ADJ NOUN ADP ADJ NOUN"],
  ["Tension pneumothorax with deviation of the trachea to the left", "NOUN NOUN ADP NOUN ADP DET NOUN ADP DET NOUN"],
  ["The previously described pneumothorax is no longer visible", "DET ADV VERB NOUN AUX ADV ADV ADJ"],
  ["Visceral pleural line visible, 1.5cm from the chest wall", "ADJ ADJ NOUN ADJ NUM NOUN ADP DET NOUN NOUN"],
  ["pneumothoraces", "NOUN"],
  // Lines, tubes, devices
  ["ET tube tip lies approximately 4 cm from the carina", "NOUN NOUN NOUN VERB ADV NUM NOUN ADP DET NOUN"],
  ["Right subclavian port ends in the low SVC", "ADJ ADJ NOUN VERB ADP DET ADJ NOUN"],
  ["Enteric tube courses below the diaphragm and out of view", "ADJ NOUN VERB ADP DET NOUN CCONJ ADP ADP NOUN"],
  ["A left PICC has its tip in the mid-SVC", "DET ADJ NOUN VERB PRON NOUN ADP DET NOUN"],
  ["Swan-Ganz catheter is too far advanced", "NOUN NOUN AUX ADV ADV VERB"],
  ["Intact sternal wires and prosthetic aortic valve", "ADJ ADJ NOUN CCONJ ADJ ADJ NOUN"],
  ["Interval placement of a pigtail drain", "NOUN NOUN ADP DET NOUN NOUN"],
  // Everything else
  ["AP semi-upright portable radiograph", "NOUN ADJ ADJ NOUN"],
  ["Degenerative changes of the thoracic spine", "ADJ NOUN ADP DET ADJ NOUN"],
  ["Hyperinflated lungs with flattened diaphragms, c/w COPD", "ADJ NOUN ADP ADJ NOUN ADJ NOUN"],
  ["Free air under the right hemidiaphragm", "ADJ NOUN ADP DET ADJ NOUN"],
  ["w/ overlying soft tissue swelling and/or hematoma", "ADP ADJ ADJ NOUN NOUN CCONJ NOUN"],
  [
    "Patient is rotated, which limits evaluation of the right apex",
    "NOUN AUX VERB PRON VERB NOUN ADP DET ADJ NOUN",
  ],
  ["Osseous structures are otherwise unremarkable", "ADJ NOUN AUX ADV ADJ"],
  // Longer sentences, rich in function words
  [
    "Status post right upper lobectomy with expected postoperative changes",
    "NOUN ADP ADJ ADJ NOUN ADP ADJ ADJ NOUN",
  ],
  [
    "The lungs are otherwise grossly clear, save for minimal left basal scarring",
    "DET NOUN AUX ADV ADV ADJ ADP ADP ADJ ADJ ADJ NOUN",
  ],
  ["Opacity that was present earlier today is now less conspicuous", "NOUN PRON AUX ADJ ADV NOUN AUX ADV ADV ADJ"],
  [
    "There may be a small amount of fluid, but this is not well seen on the frontal view alone",
    "PRON AUX AUX DET ADJ NOUN ADP NOUN CCONJ PRON AUX PART ADV VERB ADP DET ADJ NOUN ADV",
  ],
  [
    "Right greater than left basilar opacities, which may be due to atelectasis versus aspiration",
    "ADJ ADJ ADP ADJ ADJ NOUN PRON AUX AUX ADP ADP NOUN ADP NOUN",
  ],
  ["If clinically indicated, CT could further characterize the nodule", "SCONJ ADV VERB NOUN AUX ADV VERB DET NOUN"],
  ["Two of the three nodules have since resolved", "NUM ADP DET NUM NOUN AUX ADV VERB"],
  ["Neither lung shows any sign of recent bleeding", "DET NOUN VERB DET NOUN ADP ADJ NOUN"],
  [
    "Please note that the apices are partially obscured by the chin",
    "INTJ VERB SCONJ DET NOUN AUX ADV VERB ADP DET NOUN",
  ],
  [
    "Overall, it is somewhat better aerated compared with 2 days ago",
    "ADV PRON AUX ADV ADV VERB VERB ADP NUM NOUN ADV",
  ],
  ["As before, both hila appear full", "ADP ADV DET NOUN VERB ADJ"],
  ["Given its shape, loculation is most likely", "VERB PRON NOUN NOUN AUX ADV ADJ"],
  ["one small nodule just lateral to the right hilum", "NUM ADJ NOUN ADV ADJ ADP DET ADJ NOUN"],
  ["effusion about as large as yesterday's", "NOUN ADV ADV ADJ ADP NOUN PART"],
  ["fluid within, and thickening of, the horizontal fissure", "NOUN ADP CCONJ NOUN ADP DET ADJ NOUN"],
  ["Bones: no acute fracture", "NOUN DET ADJ NOUN"],
  ["Line enters from below and ends near the T6/T7 level", "NOUN VERB ADP ADV CCONJ VERB ADP DET NOUN NOUN"],
];

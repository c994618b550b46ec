import type { Mode } from "../grounding/options.ts";

// The numbers of "Generate to Ground" (MIDL 2025), to lay ours beside: nothing is computed from them but the sign of a
// difference. The figures' values are in pictures alone; what the text says of them stands with the charts.

/** A mean, and the standard deviation over training runs where the paper gives one. */
export type Published = readonly [mean: number, deviation?: number];

/** The average of Table 1 and Table 3 in which every sample counts as often as its finding has samples. */
export const WEIGHTED = "Weighted Avg.";

/** MS-CXR's findings as the data set calls them, then the average; the paper writes "Pl. Effusion". */
export const publishedGroups = ["Atelectasis", "Cardiomegaly", "Consolidation", "Lung Opacity", "Edema", "Pneumonia", "Pneumothorax", "Pleural Effusion", WEIGHTED] as const;

/** mIoU and CNR of one method, a row of `publishedGroups` each. */
type ByGroup = readonly (readonly [miou: Published, cnr: Published])[];

/** Table 1 (section 4, on MS-CXR with 50 timesteps): columns in the paper's order. */
export const table1 = {
  BioViL: [[[0.296], [1.02, 0.06]], [[0.292], [0.63, 0.08]], [[0.338], [1.42, 0.02]], [[0.202], [1.05, 0.06]], [[0.281], [0.93, 0.03]], [[0.323], [1.27, 0.04]], [[0.109], [0.48, 0.06]], [[0.29], [1.4, 0.06]], [[0.266], [1.03, 0.02]]],
  "BioViL-L": [[[0.302], [1.17, 0.04]], [[0.375], [0.95, 0.21]], [[0.346], [1.45, 0.03]], [[0.209], [1.19, 0.05]], [[0.275], [0.96, 0.05]], [[0.315], [1.19, 0.01]], [[0.135], [0.74, 0.05]], [[0.315], [1.5, 0.03]], [[0.284], [1.14, 0.04]]],
  "CLIP LDM": [[[0.425], [1.14]], [[0.451], [0.75]], [[0.436], [1.12]], [[0.402], [1.2]], [[0.541], [1.25]], [[0.438], [1.12]], [[0.312], [0.22]], [[0.356], [0.73]], [[0.409], [0.72]]],
  "CXR-BERT LDM": [[[0.58, 0.01], [1.69, 0.02]], [[0.65, 0], [1.37, 0.01]], [[0.52, 0], [1.62, 0.01]], [[0.46, 0], [1.57, 0.03]], [[0.55, 0.01], [1.35, 0.01]], [[0.53, 0], [1.6, 0.01]], [[0.34, 0.01], [0.45, 0.09]], [[0.55, 0], [1.65, 0.04]], [[0.54, 0], [1.21, 0.03]]],
  "CXR-BERT LDM + BBM": [[[0.55, 0.01], [1.78, 0.01]], [[0.66, 0.01], [1.54, 0.04]], [[0.49, 0], [1.68, 0.02]], [[0.45, 0], [1.67, 0.03]], [[0.54, 0.01], [1.37, 0]], [[0.51, 0.01], [1.71, 0.01]], [[0.33, 0.01], [0.28, 0.07]], [[0.51, 0.01], [1.62, 0.05]], [[0.53, 0.01], [1.26, 0.04]]],
} as const satisfies Readonly<Record<string, ByGroup>>;

/** The sampling inputs of Table 2 by our modes, in the paper's order. */
export const samplingNames: Readonly<Record<Mode, string>> = { text: "Text", cfg: "CFG", gt1: "GT-1 + CFG", gt: "GT + CFG" };

/** The models of Table 2, in the paper's order. */
export const encoders = ["CLIP", "OpenCLIP", "RadBERT", "Med-KEBERT", "CXR-CLIP", "CXR-BERT"] as const;

/** The encoder of the paper's own method. */
export const OWN_ENCODER = "CXR-BERT";

/** Table 2 (appendix A, 50 timesteps): mIoU, Top-1, AUC-ROC, CNR of each of `encoders`. */
export const table2: Readonly<Record<Mode, readonly (readonly [miou: number, top1: number, aucRoc: number, cnr: number])[]>> = {
  text: [[0.354, 0.1694, 0.6304, 0.3571], [0.3337, 0.0828, 0.5676, 0.1634], [0.3535, 0.2929, 0.6693, 0.4901], [0.3188, 0.14, 0.5715, 0.2011], [0.3556, 0.2477, 0.6504, 0.4319], [0.2932, 0.0694, 0.5895, 0.2343]],
  cfg: [[0.3838, 0.2422, 0.6606, 0.4403], [0.3226, 0.0443, 0.5512, 0.1195], [0.3542, 0.2709, 0.6604, 0.4558], [0.319, 0.2134, 0.588, 0.2496], [0.3556, 0.2477, 0.6504, 0.4319], [0.4541, 0.423, 0.753, 0.773]],
  gt1: [[0.3528, 0.2357, 0.6607, 0.4568], [0.3302, 0.0435, 0.5873, 0.2245], [0.3162, 0.2983, 0.6894, 0.5644], [0.3336, 0.29, 0.6367, 0.3897], [0.3588, 0.2589, 0.6669, 0.481], [0.4067, 0.39823, 0.806, 0.9886]],
  gt: [[0.4089, 0.4062, 0.7413, 0.7164], [0.3344, 0.0534, 0.6451, 0.4041], [0.3995, 0.4138, 0.7781, 0.8363], [0.3452, 0.3508, 0.6893, 0.5536], [0.3684, 0.2695, 0.6979, 0.5809], [0.5242, 0.6506, 0.8657, 1.2288]],
};

/** Table 3 (appendix B): columns in the paper's order. */
export const table3 = {
  "Disease filtering": [[[0.506], [1.53]], [[0.649], [1.34]], [[0.522], [1.48]], [[0.418], [1.35]], [[0.556], [1.43]], [[0.51], [1.48]], [[0.308], [0.71]], [[0.565], [1.69]], [[0.524], [1.23]]],
  "Lexical filtering": [[[0.589], [1.71]], [[0.649], [1.38]], [[0.52], [1.63]], [[0.462], [1.55]], [[0.543], [1.34]], [[0.536], [1.59]], [[0.336], [0.55]], [[0.551], [1.69]], [[0.537], [1.24]]],
  "Linear Bézier": [[[0.548], [1.79]], [[0.657], [1.57]], [[0.488], [1.68]], [[0.438], [1.63]], [[0.556], [1.38]], [[0.508], [1.7]], [[0.318], [0.41]], [[0.565], [1.69]], [[0.526], [1.31]]],
  "Quadratic Bézier": [[[0.576], [1.78]], [[0.685], [1.54]], [[0.518], [1.69]], [[0.47], [1.67]], [[0.543], [1.36]], [[0.539], [1.68]], [[0.356], [0.36]], [[0.535], [1.67]], [[0.558], [1.28]]],
  "Mixture Bézier": [[[0.559], [1.79]], [[0.67], [1.58]], [[0.498], [1.69]], [[0.451], [1.66]], [[0.534], [1.38]], [[0.516], [1.7]], [[0.332], [0.37]], [[0.514], [1.69]], [[0.539], [1.31]]],
} as const satisfies Readonly<Record<string, ByGroup>>;

/** Table 4 (appendix D): FID, FID_XRV, CNR. */
export const table4 = {
  "Frozen CXR-BERT": [109.4, 18, 0.84],
  "Frozen CLIP": [83.8, 14.5, 0.72],
  "Learnable CLIP": [61.9, 7.7, 0.13],
} as const satisfies Readonly<Record<string, readonly [fid: number, fidXrv: number, cnr: number]>>;

/** What the paper says of its figures, and where. */
export const figures = {
  2: { title: "Maps of single words", where: "section 4, figure 2", says: "“Consolidation” shows the region of the finding, “right” and “lower” their sides; words without lexical meaning have no clear pattern. The start token alone is already close, the end token closer." },
  3: { title: "Methods over films", where: "section 4, figure 3", says: "CLIP LDM is solid but worse than BioViL in places; CXR-BERT LDM is better than both, and BBM sometimes corrects it." },
  4: { title: "Metrics by the number of timesteps and the sampling mode", where: "appendix C, figure 4, on ChestX-ray14", says: "After about five timesteps GT + CFG does not improve significantly. GT-1 + CFG is the same as GT + CFG at one timestep, falls steeply over the first few, comes closer to text-only conditioning and then stays." },
  5: { title: "Metrics by the last n timesteps", where: "appendix C, figure 5, 65 timesteps", says: "CNR and AUC-ROC rise steadily with n; mIoU peaks at 45 of 65; Top-1 peaks at 5 and then tends to rise. All changes are very low." },
  6: { title: "Layers, and ranks of LoRA", where: "appendix E, figure 6", says: "With CXR-BERT all resolutions point to the finding, so that averaging over all layers is enough. CLIP with LoRA gains from the innermost layers alone." },
} as const;

import type { DataSet } from "dcmjs";
import type { Picture } from "./draw.ts";

/** What of a grounding is written as DICOM. */
export interface DicomInputs {
  /** Film, map and boxes as a reader sees them. */
  overlay: Picture;
  /** [height * width] of the same size: 1 where the phrase points. */
  mask: Uint8Array;
  /** What was looked for. */
  phrase: string;
  /** Of attnscope. */
  version: string;
}

/** Two files of one study; the second refers to the first. */
export interface DicomFiles {
  /** Secondary Capture Image: RGB. */
  overlay: Uint8Array<ArrayBuffer>;
  /** Segmentation: binary, one segment. */
  segmentation: Uint8Array<ArrayBuffer>;
}

const SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7";
const SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4";

/**
 * Writes the overlay as DICOM Secondary Capture and the mask as DICOM Segmentation of it (PS3.3 A.8.1 and A.51). Nothing
 * of the source's headers goes in: all identifiers are new with every call, and what must be there of patient and study
 * is empty.
 */
export async function writeDicom({ overlay, mask, phrase, version }: DicomInputs): Promise<DicomFiles> {
  const { data } = await import("dcmjs");
  const write = (dataSet: DataSet) => new Uint8Array(data.datasetToDict({ _meta: {}, _vrMap: { PixelData: "OB" }, ...dataSet }).write());
  const shared = { ...emptyPatientAndStudy(), ...softwareOf(version), Rows: overlay.height, Columns: overlay.width };
  const capture = { ...shared, ...newInstance(SECONDARY_CAPTURE), ...captureOf(phrase), PixelData: rgbOf(overlay).buffer };
  const now = { ContentDate: data.DicomMetaDictionary.date(), ContentTime: data.DicomMetaDictionary.time() };
  const pixels = data.BitArray.pack(mask).buffer;
  const segmentation = { ...shared, ...newInstance(SEGMENTATION), ...now, ...segmentOf(phrase, version), ...frameOf(capture), PixelData: pixels };
  return { overlay: write(capture), segmentation: write(segmentation) };
}

/** What must be there and may be empty, and a study of its own. */
function emptyPatientAndStudy(): DataSet {
  const names = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"];
  return { SpecificCharacterSet: "ISO_IR 192", StudyInstanceUID: newUid(), ...Object.fromEntries(names.map((name) => [name, ""])) };
}

function softwareOf(version: string): DataSet {
  return { Manufacturer: "attnscope", ManufacturerModelName: "attnscope", DeviceSerialNumber: "none", SoftwareVersions: version };
}

/** An instance that is alone in its series. */
function newInstance(SOPClassUID: string) {
  return { SOPClassUID, SOPInstanceUID: newUid(), SeriesInstanceUID: newUid(), SeriesNumber: 1, InstanceNumber: 1, PatientOrientation: "" };
}

function captureOf(phrase: string): DataSet {
  return {
    Modality: "OT",
    ConversionType: "WSD",
    ImageType: ["DERIVED", "SECONDARY"],
    SeriesDescription: shortText(`attnscope: ${phrase}`),
    DerivationDescription: "Where a phrase points, in colours over the film. Not for diagnosis.",
    SamplesPerPixel: 3, PhotometricInterpretation: "RGB", PlanarConfiguration: 0,
    BitsAllocated: 8, BitsStored: 8, HighBit: 7, PixelRepresentation: 0,
  };
}

function segmentOf(phrase: string, version: string): DataSet {
  return {
    Modality: "SEG",
    ImageType: ["DERIVED", "PRIMARY"],
    SeriesNumber: 2,
    SeriesDescription: shortText(`attnscope: ${phrase}`),
    ContentLabel: "ATTNSCOPE",
    ContentDescription: shortText(phrase),
    ContentCreatorName: "",
    SegmentationType: "BINARY",
    SegmentSequence: [{
      SegmentNumber: 1,
      SegmentLabel: shortText(phrase),
      SegmentAlgorithmType: "AUTOMATIC",
      SegmentAlgorithmName: shortText(`attnscope ${version}`),
      // A phrase may be of anything: it is not coded.
      SegmentedPropertyCategoryCodeSequence: [code("309825002", "SCT", "Spatial and Relational Concept")],
      SegmentedPropertyTypeCodeSequence: [code("111099", "DCM", "Selected region")],
    }],
    NumberOfFrames: 1,
    SamplesPerPixel: 1, PhotometricInterpretation: "MONOCHROME2", LossyImageCompression: "00",
    BitsAllocated: 1, BitsStored: 1, HighBit: 0, PixelRepresentation: 0,
  };
}

/** The segmentation's one frame: which segment it shows, of which image. */
function frameOf({ SOPClassUID, SOPInstanceUID, SeriesInstanceUID }: ReturnType<typeof newInstance>): DataSet {
  const instance = { ReferencedSOPClassUID: SOPClassUID, ReferencedSOPInstanceUID: SOPInstanceUID };
  const source = { ...instance, SpatialLocationsPreserved: "YES", PurposeOfReferenceCodeSequence: [code("121322", "DCM", "Source image for image processing operation")] };
  const DimensionOrganizationUID = newUid();
  return {
    ReferencedSeriesSequence: [{ SeriesInstanceUID, ReferencedInstanceSequence: [instance] }],
    DimensionOrganizationSequence: [{ DimensionOrganizationUID }],
    // Frames are ordered by Referenced Segment Number in Segment Identification Sequence.
    DimensionIndexSequence: [{ DimensionOrganizationUID, DimensionIndexPointer: 0x0062000b, FunctionalGroupPointer: 0x0062000a }],
    SharedFunctionalGroupsSequence: [{}],
    PerFrameFunctionalGroupsSequence: [{
      FrameContentSequence: [{ DimensionIndexValues: 1 }],
      SegmentIdentificationSequence: [{ ReferencedSegmentNumber: 1 }],
      DerivationImageSequence: [{ DerivationCodeSequence: [code("113076", "DCM", "Segmentation")], SourceImageSequence: [source] }],
    }],
  };
}

function code(CodeValue: string, CodingSchemeDesignator: string, CodeMeaning: string): DataSet {
  return { CodeValue, CodingSchemeDesignator, CodeMeaning };
}

function rgbOf({ width, height, data }: Picture): Uint8Array {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[4 * i + c];
  return rgb;
}

/** A text as the type LO takes it: one value of at most 64 UTF-16 units. */
function shortText(text: string): string {
  return text.replace(/[\s\\\p{Cc}]+/gu, " ").slice(0, 64).replace(/[\uD800-\uDBFF]$/, "").trim();
}

/** A unique identifier made from 128 random bits (PS3.5 B.2). */
function newUid(): string {
  const words = crypto.getRandomValues(new BigUint64Array(2));
  return `2.25.${(words[0] << 64n) | words[1]}`;
}

import { zipSync } from "fflate";
import { version } from "../../package.json";
import { type DicomInputs, writeDicom } from "../data/dicom_write.ts";

/** The DICOM objects of a map in one archive: they refer to each other. */
export async function dicomZip(inputs: Omit<DicomInputs, "version">): Promise<Blob> {
  const { overlay, segmentation } = await writeDicom({ ...inputs, version });
  return new Blob([zipSync({ "overlay.dcm": overlay, "segmentation.dcm": segmentation }) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}

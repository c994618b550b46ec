/** What is used of dcmjs, which comes without types. */
declare module "dcmjs" {
  /** A data set: values by the names of DICOM's dictionary, sequences as lists of data sets. */
  type DataSet = { readonly [name: string]: string | number | readonly (string | number | DataSet)[] | ArrayBufferLike | DataSet };

  export const data: {
    readonly BitArray: {
      /** Eight values a byte, the first in the lowest bit; any but 0 is 1. */
      pack(values: Uint8Array): Uint8Array<ArrayBuffer>;
    };
    readonly DicomMetaDictionary: {
      /** Today in UTC, as DICOM writes it. */
      date(): string;
      /** Now in UTC, as DICOM writes it. */
      time(): string;
    };
    /** A file of a data set, in explicit VR little endian. */
    datasetToDict(dataset: DataSet): { write(): ArrayBuffer };
  };
}

/**
 * A NumPy `.npy` file, version 1.0, of float32 values in C order.
 * @param shape whose product is the number of values
 */
export function toNpy(values: Float32Array, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const description = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const unpadded = 10 + description.length + 1;
  const header = description + " ".repeat((64 - (unpadded % 64)) % 64) + "\n";
  const file = new Uint8Array(10 + header.length + 4 * values.length);
  const view = new DataView(file.buffer);
  file.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0]);
  view.setUint16(8, header.length, true);
  file.set(new TextEncoder().encode(header), 10);
  values.forEach((value, i) => view.setFloat32(10 + header.length + 4 * i, value, true));
  return file;
}

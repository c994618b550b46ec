import type { ByteSource } from "./byte_source.ts";
import { dtypeBytes } from "./dtype.ts";
import type { TensorRef } from "./torch_pickle.ts";

/** Bytes of a storage that are in memory at a time while a strided tensor is gathered from it. */
const WINDOW_BYTES = 8 * 2 ** 20;

/** Whether the elements lie in the storage one after another, row-major. */
export function isContiguous({ shape, strides, elements }: TensorRef): boolean {
  if (elements === 0) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/**
 * Gathers elements [first, first + count) of a strided tensor, in row-major order, into `target`.
 * Reads the span of the storage that they cover once, a window at a time.
 * @param storageBegin first byte of the storage in the source
 */
export async function gather(source: ByteSource, storageBegin: number, tensor: TensorRef, first: number, count: number, target: Uint8Array): Promise<void> {
  if (count === 0) return;
  const bytes = dtypeBytes[tensor.storage.dtype];
  const [low, high] = span(tensor, first, count);
  const windowElements = WINDOW_BYTES / bytes;
  const buffer = new Uint8Array(Math.min(WINDOW_BYTES, (high - low) * bytes));
  for (let start = low; start < high; start += windowElements) {
    const end = Math.min(high, start + windowElements);
    const window = await source.read(storageBegin + start * bytes, (end - start) * bytes, buffer);
    forEachElement(tensor, first, count, (element, index) => {
      if (element < start || element >= end) return;
      const from = (element - start) * bytes;
      for (let byte = 0; byte < bytes; byte++) target[index * bytes + byte] = window[from + byte];
    });
  }
}

/** Lowest storage element and the one behind the highest of a run of tensor elements. */
function span(tensor: TensorRef, first: number, count: number): [number, number] {
  let [low, high] = [Infinity, 0];
  forEachElement(tensor, first, count, (element) => {
    low = Math.min(low, element);
    high = Math.max(high, element + 1);
  });
  return [low, high];
}

/** Visits a run of tensor elements in row-major order: their place in the storage, and their place in the run. */
function forEachElement(tensor: TensorRef, first: number, count: number, visit: (element: number, index: number) => void): void {
  const { shape, strides } = tensor;
  const position = shape.map(() => 0);
  let element = tensor.offset;
  let rest = first;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    position[axis] = rest % shape[axis];
    element += position[axis] * strides[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  for (let index = 0; index < count; index++) {
    visit(element, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      element += strides[axis];
      if (++position[axis] < shape[axis]) break;
      element -= strides[axis] * shape[axis];
      position[axis] = 0;
    }
  }
}

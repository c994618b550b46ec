import type { ChoosingOp, VariantChoice } from "../gpu/variant_choices.ts";
import type { DeviceFacts } from "./grid.ts";

/** The variant of an op for a shape class: what the caller wants, else what was measured, else the first candidate. */
export function chooseVariant<V extends string>(op: ChoosingOp, shapeClass: string, candidates: readonly V[], { choices }: DeviceFacts, wanted?: V): VariantChoice & { variant: V } {
  return { op, shapeClass, variant: wanted ?? choices?.chosen(op, shapeClass, candidates) ?? candidates[0] };
}

/** A side of a shape class. */
export function classSide(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}

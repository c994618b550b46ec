const products = ["subgroup", "vector", "tiled"] as const;
const attentions = ["lanes", "tiles"] as const;
const rows = ["subgroup", "workgroup", "naive"] as const;

/** The ops that choose between kernels, and the variants that a measurement may choose: naive products and attention only judge others. */
export const variantsByOp = {
  matmul: products,
  linear: products,
  geglu: products,
  conv2d: products,
  weightGradient: products,
  attention: attentions,
  crossAttention: attentions,
  layerNorm: rows,
  layerNormBackward: rows,
  softmax: rows,
  softmaxBackward: rows,
  groupNorm: ["workgroup", "serial"],
} as const;

/** An op that chooses between kernels. */
export type ChoosingOp = keyof typeof variantsByOp;

/** Which variant an op took for a shape. */
export interface VariantChoice {
  /** The op that chose. */
  readonly op: ChoosingOp;
  /** The shape in words, each side rounded up to a power of two, without the batch: an item's result does not depend on it. */
  readonly shapeClass: string;
  /** One of its `variantsByOp`, or "naive" where the caller asked for that. */
  readonly variant: string;
}

/** Choices that were measured on a device. */
export interface VariantChoices {
  /** The variant for a shape class among those that can run, the default first; undefined where none of them was measured to be best. */
  chosen<V extends string>(op: ChoosingOp, shapeClass: string, candidates: readonly V[]): V | undefined;
}

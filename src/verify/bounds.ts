// What a result may differ from the goldens by. They were computed in double: PyTorch's own float32 is off by 1e-5 of the
// largest magnitude in outputs, 2e-5 in probabilities, 1.5e-4 in gradients and 1e-5 in weights after six steps.

/** Of a model's output, relative to the golden's largest magnitude. */
export const outputBound = 1e-4;
/** Of attention probabilities and their means. */
export const probabilityBound = 1e-4;
/** Of maps after min-max, merged maps, mixtures and metrics. */
export const mapBound = 1e-3;
/** Of maps in the published code's reading: one grey level. */
export const compatBound = 4e-3;
/** Of structural similarity. */
export const ssimBound = 2e-3;
/** Share of a mask's pixels. */
export const maskBound = 2e-3;
/** 1 - correlation of a map computed in f16 with that in f32. */
export const halfPrecisionBound = 1e-3;
/** Of closed formulas in f32, relative to the golden's largest magnitude. */
export const formulaBound = 1e-5;
/** Of losses, relative. */
export const lossBound = 1e-4;
/** Of gradients and their norms, relative to the golden's largest magnitude. */
export const gradientBound = 1e-3;
/** Of weights after a few optimiser steps, relative to the golden's largest magnitude. */
export const weightBound = 1e-3;
/** Of the sum of all squared weights, relative: a tensor of which no values are given counts too. */
export const weightSumBound = 1e-4;
/** Of Fréchet distances, relative. */
export const frechetBound = 1e-4;
/** Of multi-scale structural similarity. */
export const msSsimBound = 1e-4;

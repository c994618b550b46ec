// Finite stand-ins for minus infinity: drivers turn inf - inf into NaN, or fold the tests for it away. They stay finite
// when differences of scores are scaled.

// Score of a key that a mask excludes, and where running maxima start. A row whose every key is masked attends
// uniformly to all of them, as with the finfo.min masks of transformers; one unmasked key is enough to wipe them out.
const MASKED = -1.0e38;

// Score of a key past the last one: its weight is 0 even beside masked keys alone.
const OUTSIDE = -2.0e38;

// exp2 is faster and more exact than exp on every device measured.
const LOG2_E = 1.4426950408889634;

// exp(scale * (score - largest)) for unscaled scores, which keep their exact differences.
fn softmax_weight(score: vec4f, largest: vec4f, scale: f32) -> vec4f {
  return exp2((score - largest) * (scale * LOG2_E));
}

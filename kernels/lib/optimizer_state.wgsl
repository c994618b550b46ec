// Places in the optimiser's state, f32 [8] (src/ops/optim.ts).

const LOSS_SCALE = 0u; // factor of the loss, so that f16 gradients do not vanish
const GOOD_STEPS = 1u; // steps taken since the loss scale changed
const STEPS = 2u; // steps taken
const SKIPPED_STEPS = 3u; // steps left out because a gradient was not finite
const GRADIENT_NORM = 4u; // of this step, without the loss scale
const GRADIENT_FACTOR = 5u; // of this step: clipping / loss scale; 0 where the step is skipped
const CORRECTION_1 = 6u; // 1 - beta1^steps
const CORRECTION_2 = 7u; // 1 - beta2^steps

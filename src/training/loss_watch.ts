/** Steps over which losses are smoothed, and over which one may stay far above what it was. */
const SMOOTHED_STEPS = 50;
const PATIENCE = 100;

/** Takes losses one after the other and gives their mean with weights that decay over `steps`, as Adam averages. */
export function smoother(steps = SMOOTHED_STEPS): (loss: number) => number {
  const decay = 1 - 1 / steps;
  let [sum, weight] = [0, 0];
  return (loss) => {
    sum = decay * sum + (1 - decay) * loss;
    weight = decay * weight + (1 - decay);
    return sum / weight;
  };
}

/** How a run's loss goes. */
export interface LossState {
  /** Smoothed. */
  readonly loss: number;
  /** The lowest so far, smoothed; Infinity before 50 losses. */
  readonly lowest: number;
  /** Step of the lowest; 0 before 50 losses. */
  readonly lowestStep: number;
  /** Whether the loss is far above it now: what is trained now is not worth keeping. */
  readonly rising: boolean;
  /** Whether it has been for 100 steps. */
  readonly diverged: boolean;
}

/** Finds out whether a loss diverges. */
export interface LossWatch {
  /** Takes the loss of a step; one that is not finite, of a step that was skipped, changes nothing. */
  add(step: number, loss: number): LossState;
}

/**
 * Watches the loss of a run. It is far above its lowest when it is more than `factor` times that, and has lost more than
 * half of what it had gained since the first 50 steps: a loss near 0 may well double. `factor` 0: it never is.
 */
export function watchLoss(factor: number): LossWatch {
  const smooth = smoother();
  let first: number | undefined;
  let above = 0;
  let taken = 0;
  let [loss, lowest, lowestStep] = [Infinity, Infinity, 0];
  return {
    add(step, value) {
      if (Number.isFinite(value)) {
        loss = smooth(value);
        if (++taken >= SMOOTHED_STEPS) {
          first ??= loss;
          if (loss < lowest) [lowest, lowestStep] = [loss, step];
          const bound = factor === 0 ? Infinity : Math.max(factor * lowest, (first + lowest) / 2);
          above = loss > bound ? above + 1 : 0;
        }
      }
      return { loss, lowest, lowestStep, rising: above > 0, diverged: above >= PATIENCE };
    },
  };
}

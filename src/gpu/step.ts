/** A recorded sequence of dispatches: recorded once, replayed at the cost of encoding. */
export interface Step<R> {
  /** What the recorded function returned. Its tensors are written anew by every replay. */
  readonly result: R;
  readonly dispatches: number;
  /** Bytes that the step holds on the device. */
  readonly bytes: number;
  /** Runs all dispatches again on the present contents of the tensors that the step reads. */
  replay(): void;
  /** Gives the step's buffers back; its result tensors end with it. */
  free(): void;
}

/** What a function would take, counted without running it. */
export interface Plan {
  dispatches: number;
  flops: number;
  /** Most bytes of tensors that were live at a time, those made before left out. */
  peakBytes: number;
}

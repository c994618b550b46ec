/** A recorded sequence of dispatches: recorded once, replayed at the cost of encoding. */
export interface Step<R> {
  /** What the recorded function returned. Its tensors are written anew by every replay. */
  readonly result: R;
  /** How many one replay encodes. */
  readonly dispatches: number;
  /** Bytes that the step holds on the device. */
  readonly bytes: number;
  /** Runs all dispatches again on the present contents of the tensors that the step reads. Throws ShapeError after `free`. */
  replay(): void;
  /** Gives the step's buffers back; its result tensors end with it. */
  free(): void;
}

/** What a function would take, counted without running it; what was made before is left out. Buffers count with the sizes that they are given. */
export interface Plan {
  /** Dispatches that would be encoded. */
  dispatches: number;
  /** Floating-point operations as the ops count them. */
  flops: number;
  /** Most bytes that are live at a time while it runs. */
  peakBytes: number;
  /** These bytes by the scopes that acquired them. */
  byScope: Record<string, number>;
  /** What a recorded step of it holds: tensors that are not needed at the same time share buffers. */
  stepBytes: number;
  /** The most bytes that a kernel reads or writes through one binding, and where. */
  largestBinding: {
    /** Its size, at most the device's `maxBindingBytes` in what runs; 0 where nothing is dispatched. */
    bytes: number;
    /** `Kernel.name` of the first kernel with such a binding. */
    kernel: string;
    /** Scope path of that dispatch. */
    scope: string;
  };
}

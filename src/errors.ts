/**
 * The error family. Every message names the operation or file, the fact, and what to do.
 * The command line maps them to exit codes: input and usage 2, device 3, a training that failed 1.
 */
export class AttnscopeError extends Error {
  /** Name of the class: minifiers leave it, and errors of a worker bring it along. */
  override name = "AttnscopeError";
}

/** Bad input: a file, an option, a phrase. `where` is the file or option that is at fault. */
export class InputError extends AttnscopeError {
  override name = "InputError";
  /** Path or URL of the file, or the option as the command line writes it, such as `--steps`. */
  readonly where: string;
  constructor(where: string, fact: string, options?: ErrorOptions) {
    super(`${where}: ${fact}`, options);
    this.where = where;
  }
}

/** A checkpoint file that is broken, hostile, or of another architecture. */
export class WeightsError extends InputError {
  override name = "WeightsError";
}

/** Tensor shapes or options that do not fit an operation. */
export class ShapeError extends AttnscopeError {
  override name = "ShapeError";
  constructor(op: string, fact: string, scope = "") {
    super(`${op}: ${fact}${scope ? ` (${scope})` : ""}`);
  }
}

/** A training that came to a bad end: its loss, gradients or weights are no longer finite, or the loss diverges. */
export class TrainingError extends AttnscopeError {
  override name = "TrainingError";
}

/** A device feature or limit that is needed and not there. */
export class UnsupportedError extends AttnscopeError {
  override name = "UnsupportedError";
  constructor(what: string, needed: string, available: string, alternative: string) {
    super(`${what}: needs ${needed}, the device has ${available}; ${alternative}`);
  }
}

/** WGSL that did not compile; `message` holds file and line. */
export class CompileError extends AttnscopeError {
  override name = "CompileError";
}

/** The device faults: exit code 3. */
export class DeviceError extends AttnscopeError {
  override name = "DeviceError";
}

/** No adapter that can be used; says what to install. */
export class NoAdapterError extends DeviceError {
  override name = "NoAdapterError";
}

/** More bytes asked than the budget holds. Bytes are stated in the message. */
export class OutOfMemoryError extends DeviceError {
  override name = "OutOfMemoryError";
  /** Bytes of the buffer that was asked for. */
  readonly requested: number;
  constructor(requested: number, live: number, peak: number, advice: string) {
    super(`out of GPU memory: ${mib(requested)} requested, ${mib(live)} live, ${mib(peak)} peak; ${advice}`);
    this.requested = requested;
  }
}

/** The device was lost: the reason and the scopes that ran last. */
export class DeviceLostError extends DeviceError {
  override name = "DeviceLostError";
  constructor(reason: string, lastScopes: string[]) {
    const scopes = lastScopes.length > 0 ? `; last scopes: ${lastScopes.join(", ")}` : "";
    super(`device lost: ${reason}${scopes}`);
  }
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

import { CompileError, DeviceError, DeviceLostError, OutOfMemoryError, ShapeError } from "../errors.ts";
import { type Dtype, Tensor, dtypeBytes, sizeOf } from "../tensor.ts";
import { widenFloat16 } from "../float16.ts";
import { BufferPool, type MemoryReport } from "./buffers.ts";
import { BindGroupCache, type Command, ParamsPages, SubmissionSizer, mostPasses } from "./commands.ts";
import { type AnyDispatch, Drafter } from "./drafts.ts";
import { encodePass } from "./encode_pass.ts";
import type { AnyKernel, Dispatch, Kernel } from "./kernel.ts";
import { PipelineCache } from "./pipelines.ts";
import type { Profile, Profiler } from "./profile.ts";
import { Planning, Recording } from "./recording.ts";
import { keptTensors, ScopeStack } from "./scopes.ts";
import type { Plan, Step } from "./step.ts";
import { bufferUsage, mapModeRead } from "./usage.ts";
import type { VariantChoices } from "./variant_choices.ts";

/** What is known of the adapter behind a device. */
export interface AdapterFacts {
  /** Of GPUAdapterInfo: a word such as `nvidia` or `mesa`; "" where the browser hides it. */
  vendor: string;
  /** Of GPUAdapterInfo: a family such as `hopper`; "" where it is not told. */
  architecture: string;
  /** Of GPUAdapterInfo: the vendor's name of the device; "" in most browsers. */
  device: string;
  /** Of GPUAdapterInfo: a text of the driver, such as its version; "" in most browsers. */
  description: string;
  /** True for devices that compute on the CPU (lavapipe, SwiftShader). */
  software: boolean;
}

/** Options of `new Gpu`. */
export interface GpuOptions {
  device: GPUDevice;
  adapter: AdapterFacts;
  /** Most bytes that tensors may take. Default: no bound but the device's. */
  memoryBudget?: number;
  /** Whether `close` destroys the device: false for a device of the caller's own. */
  ownsDevice?: boolean;
  /** How the host waits for the device. Default: it awaits the promise. */
  wait?: WaitForDevice;
  /** Most bytes of one binding. Default, and at most: the device's limit. */
  maxBindingBytes?: number;
}

/** Gives what a device's promise gives. */
export type WaitForDevice = <R>(done: Promise<R>) => Promise<R>;

/** A device with its memory, pipelines, scopes and queue: the only code that sees GPUDevice. */
export class Gpu {
  /** WebGPU's own device: one that was opened here, or the caller's. */
  readonly device: GPUDevice;
  /** The adapter behind the device; `software` decides which kernels and budgets are the defaults. */
  readonly adapter: AdapterFacts;
  /** Most bytes that a kernel may read or write through one binding. */
  readonly maxBindingBytes: number;
  /** Which kernels ops take, where that was measured; a recorded step keeps those of its recording. */
  variantChoices: VariantChoices | undefined;
  /** Bytes copied from the device to the host so far. */
  bytesReadBack = 0;
  /** Floating-point operations submitted so far, as the ops count them. */
  flopsSubmitted = 0;

  readonly #pool: BufferPool;
  readonly #pipelines: PipelineCache;
  readonly #drafter: Drafter;
  readonly #bindGroups: BindGroupCache;
  readonly #eagerParams: ParamsPages;
  readonly #scopes = new ScopeStack();
  readonly #sizer = new SubmissionSizer();
  readonly #constants = new Map<string, Tensor>();
  readonly #ownsDevice: boolean;
  readonly #wait: WaitForDevice;
  readonly #failures = new Set<Promise<Error | undefined>>();
  readonly #lastScopes: string[] = [];
  #pending: Command[] = [];
  #pendingCost = 0;
  #recording: Recording | undefined;
  #planning: Planning | undefined;
  #profiler: Profiler | undefined;
  #failure: Error | undefined;
  #closed = false;

  constructor(options: GpuOptions) {
    const { device } = options;
    this.device = device;
    this.adapter = options.adapter;
    this.maxBindingBytes = Math.min(options.maxBindingBytes ?? Infinity, device.limits.maxStorageBufferBindingSize);
    this.#ownsDevice = options.ownsDevice ?? true;
    this.#wait = options.wait ?? ((done) => done);
    this.#pool = new BufferPool(device, {
      budget: options.memoryBudget ?? Infinity,
      keepBytes: 512 * 2 ** 20,
      watch: (failure) => this.#watch(failure),
      beforeTrim: () => this.flush(),
    });
    this.#pipelines = new PipelineCache(device, (failure) => this.#watch(failure));
    this.#drafter = new Drafter(device, this.#pipelines, this.maxBindingBytes);
    this.#bindGroups = new BindGroupCache(device);
    this.#eagerParams = new ParamsPages(device);
    void device.lost.then((info) => {
      if (!this.#closed) this.#failure = new DeviceLostError(`${info.reason}: ${info.message}`, this.#lastScopes);
    });
  }

  /** Whether the device has an optional feature that this Gpu requested. */
  has(feature: "shader-f16" | "subgroups" | "timestamp-query"): boolean {
    return this.device.features.has(feature);
  }

  /** What the device was opened with: WebGPU's limits. */
  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** Compiled pipelines so far. */
  get pipelineCount(): number {
    return this.#pipelines.count;
  }

  // --- tensors ---------------------------------------------------------------------------------------------------

  /** An uninitialised tensor, owned by the present scope. Throws OutOfMemoryError past the budget. */
  empty(shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    this.#assertUsable();
    const bytes = Math.max(4, sizeOf(shape) * dtypeBytes(dtype));
    const { arena } = this.#planning ?? this.#recording ?? { arena: this.#pool };
    return this.track(new Tensor(this, shape, dtype, arena.acquire(bytes, this.scopeName)));
  }

  /** A tensor with data from the host. f16 takes raw 16-bit patterns as Uint16Array. */
  tensor(data: Float32Array | Uint32Array | Int32Array | Uint16Array, shape: readonly number[]): Tensor {
    const dtype = data instanceof Float32Array ? "f32" : data instanceof Uint32Array ? "u32" : data instanceof Int32Array ? "i32" : "f16";
    const tensor = this.empty(shape, dtype);
    this.write(tensor, data);
    return tensor;
  }

  /** Registers a tensor with the present scope, which will free it. */
  track(tensor: Tensor): Tensor {
    this.#scopes.track(tensor);
    return tensor;
  }

  /**
   * A table that stays on the device until `close`, made once a key: what kernels read beside their inputs, and the
   * only tensors that may be written from the host while a step is being recorded.
   */
  constant(key: string, shape: readonly number[], make: () => Float32Array | Uint32Array): Tensor {
    const known = this.#planning?.constants.get(key) ?? this.#constants.get(key);
    if (known) return known;
    const data = make();
    const buffer = this.#planning?.arena.acquireThroughout(data.byteLength, "constants") ?? this.#pool.acquire(data.byteLength, "constants");
    const tensor = new Tensor(this, shape, data instanceof Float32Array ? "f32" : "u32", buffer);
    this.write(tensor, data);
    (this.#planning?.constants ?? this.#constants).set(key, tensor);
    return tensor;
  }

  /** Takes a tensor out of all scopes: whoever keeps it frees it. */
  keep(tensor: Tensor): Tensor {
    this.#scopes.untrack(tensor);
    return tensor;
  }

  /** Writes a tensor from the host, in order with the work recorded so far. */
  write(tensor: Tensor, data: Float32Array | Uint32Array | Int32Array | Uint16Array): void {
    if (data.length !== tensor.size) throw new ShapeError("write", `${data.length} values do not fit [${tensor.shape}]`, this.scopeName);
    if (data.BYTES_PER_ELEMENT !== dtypeBytes(tensor.dtype)) throw new ShapeError("write", `${data.constructor.name} does not fit ${tensor.dtype}`, this.scopeName);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const padded = bytes.byteLength % 4 === 0 ? bytes : Uint8Array.from({ length: tensor.byteLength }, (_, i) => bytes[i] ?? 0);
    this.writeBytes(tensor, 0, padded);
  }

  /** Writes raw bytes into a tensor from `byteOffset` on; both in multiples of 4. */
  writeBytes(tensor: Tensor, byteOffset: number, bytes: Uint8Array): void {
    this.#assertUsable();
    if (byteOffset + bytes.byteLength > tensor.byteLength) throw new ShapeError("write", `bytes ${byteOffset} + ${bytes.byteLength} exceed [${tensor.shape}]`);
    if (this.#planning) return;
    if (tensor.buffer.id === 0) throw new ShapeError("write", "the buffers of a step are chosen when it is recorded; write its tensors after that", this.scopeName);
    this.flush();
    this.device.queue.writeBuffer(tensor.buffer.gpuBuffer, tensor.byteOffset + byteOffset, bytes as Uint8Array<ArrayBuffer>);
  }

  /** Reads a tensor back; f16 is widened, integers keep their values. Waits for the work before it. */
  async read(tensor: Tensor): Promise<Float32Array> {
    const raw = await this.readRaw(tensor);
    if (tensor.dtype === "f16") return widenFloat16(new Uint16Array(raw, 0, tensor.size));
    if (tensor.dtype === "f32") return new Float32Array(raw, 0, tensor.size);
    const integers = tensor.dtype === "u32" ? new Uint32Array(raw, 0, tensor.size) : new Int32Array(raw, 0, tensor.size);
    return Float32Array.from(integers);
  }

  /** Reads a tensor's bytes back. */
  async readRaw(tensor: Tensor): Promise<ArrayBuffer> {
    this.#assertUsable();
    this.flush();
    const size = tensor.byteLength;
    const staging = this.device.createBuffer({ size, usage: bufferUsage.mapRead | bufferUsage.copyDestination, label: "readback" });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(tensor.buffer.gpuBuffer, tensor.byteOffset, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    try {
      await this.#wait(staging.mapAsync(mapModeRead));
    } catch (cause) {
      await this.#throwFailures();
      throw new DeviceError(`reading [${tensor.shape}] failed: ${String(cause)}`, { cause });
    }
    const data = staging.getMappedRange().slice(0);
    staging.destroy();
    await this.#throwFailures();
    this.bytesReadBack += size;
    return data;
  }

  // --- work ------------------------------------------------------------------------------------------------------

  /** Records one dispatch: into the step being recorded, or into the next submission. */
  run<B extends string, P, O extends string, L>(kernel: Kernel<B, P, O, L>, dispatch: Dispatch<B, P, O, L>): void {
    this.#assertUsable();
    const anyDispatch = dispatch as unknown as AnyDispatch;
    if (this.#planning) {
      this.#planning.add(kernel.name, anyDispatch, this.scopeName);
      return;
    }
    const draft = this.#drafter.draft(kernel as unknown as AnyKernel, anyDispatch, this.#recording?.params ?? this.#eagerParams, this.scopeName);
    if (this.#recording) this.#recording.drafts.push(draft);
    else this.#enqueue(this.#bindGroups.bind(draft));
  }

  #enqueue(command: Command): void {
    this.#pending.push(command);
    this.#pendingCost += SubmissionSizer.cost(command);
    if (this.#pendingCost > this.#sizer.budget || this.#pending.length >= mostPasses) this.flush();
  }

  /** Submits what was recorded so far. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const commands = this.#pending;
    const cost = this.#pendingCost;
    this.#pending = [];
    this.#pendingCost = 0;
    this.#eagerParams.upload();
    this.#submit(commands, cost);
    this.#eagerParams.reset();
    if (this.#pool.overfull) this.#pool.trim();
  }

  #submit(commands: Command[], cost: number): void {
    const { device } = this;
    for (const { flops } of commands) this.flopsSubmitted += flops;
    this.#lastScopes.splice(0, Infinity, ...new Set(commands.slice(-8).map((command) => `${command.scope || "no scope"}:${command.kernel}`)));
    device.pushErrorScope("validation");
    if (this.#profiler) {
      this.#profiler.submit(commands);
    } else {
      const encoder = device.createCommandEncoder();
      encodePass(encoder, commands);
      device.queue.submit([encoder.finish()]);
    }
    const scopes = [...this.#lastScopes];
    this.#watch(device.popErrorScope().then((error) => (error ? new DeviceError(`${error.message.split("\n")[0]} (among ${scopes.join(", ")})`) : undefined)));
    const sent = performance.now();
    void device.queue.onSubmittedWorkDone().then(
      () => this.#sizer.completed(cost, sent),
      () => undefined,
    );
  }

  /** Waits until all recorded work is done; throws the first failure of it. */
  async sync(): Promise<void> {
    this.flush();
    await this.#wait(this.device.queue.onSubmittedWorkDone()).catch(() => undefined);
    await this.#throwFailures();
  }

  /**
   * Records the dispatches of `fn` (nothing runs yet) as a step. `fn` must not read back or write tensors.
   * Tensors made inside belong to the step; their buffers are chosen at its end, when it is known how long each is needed.
   */
  record<R>(name: string, fn: () => R): Step<R> {
    this.#assertNotRecording("record");
    this.flush();
    const recording = new Recording(this.device, this.#pool);
    this.#recording = recording;
    try {
      const result = this.#scopes.run(name, fn, { escape: false });
      const commands = recording.finish();
      let freed = false;
      return {
        result,
        dispatches: commands.length,
        bytes: recording.arena.bytes,
        replay: () => {
          if (freed) throw new ShapeError("replay", `the step ${name} was freed`, this.scopeName);
          this.#replay(commands);
        },
        free: () => {
          for (const tensor of keptTensors(result)) tensor.free();
          recording.free();
          commands.length = 0;
          freed = true;
        },
      };
    } catch (error) {
      recording.free();
      throw error;
    } finally {
      this.#recording = undefined;
    }
  }

  /** Counts what `fn` would take: its ops check and plan, but nothing is compiled, allocated, written or run. */
  plan(fn: () => void): Plan {
    this.#assertNotRecording("plan");
    const planning = new Planning();
    this.#planning = planning;
    try {
      this.#scopes.run("", fn, { escape: false });
    } finally {
      this.#planning = undefined;
    }
    return planning.finish();
  }

  #assertNotRecording(op: string): void {
    if (this.#recording ?? this.#planning) throw new ShapeError(op, "a step is being recorded or planned", this.scopeName);
  }

  #replay(commands: readonly Command[]): void {
    this.#assertUsable();
    this.flush();
    let chunk: Command[] = [];
    let cost = 0;
    for (const command of commands) {
      chunk.push(command);
      cost += SubmissionSizer.cost(command);
      if (cost > this.#sizer.budget || chunk.length >= mostPasses) {
        this.#submit(chunk, cost);
        chunk = [];
        cost = 0;
      }
    }
    if (chunk.length > 0) this.#submit(chunk, cost);
  }

  // --- scopes, profile, memory, end --------------------------------------------------------------------------------

  /** The present scope path, such as `unet/down_blocks.1/attn2`. */
  get scopeName(): string {
    return this.#scopes.path;
  }

  /**
   * Runs `fn` under a name that labels buffers, errors and profile rows. Tensors made inside are freed at its end,
   * except those in its return value. Synchronous: recording never waits.
   */
  scope<R>(name: string, fn: () => R): R {
    return this.#scopes.run(name, fn, { escape: true });
  }

  /**
   * Runs `fn` with every dispatch timed, every submission and the memory watched. Times need the feature
   * timestamp-query, without which the profile says so; `timestamps: false` leaves them out and runs undisturbed.
   */
  async profile(fn: () => void | Promise<void>, options: { timestamps?: boolean } = {}): Promise<Profile> {
    const { Profiler } = await import("./profile.ts"); // pages that never profile never fetch it
    await this.sync();
    const profiler = new Profiler(this.device, this.#pool, options);
    this.#profiler = profiler;
    try {
      await fn();
      await this.sync();
      return await profiler.finish();
    } finally {
      profiler.stop();
      this.#profiler = undefined;
    }
  }

  /** Live, pooled and peak bytes; live bytes by scope. */
  memory(): MemoryReport {
    return this.#pool.report();
  }

  /** Starts a new peak measurement. */
  resetPeak(): void {
    this.#pool.resetPeak();
  }

  /** Gives unused buffers back to the device. */
  trim(): void {
    this.#pool.trim();
    this.#bindGroups.clear();
  }

  #watch(failure: Promise<Error | undefined>): void {
    const settled = failure.then(
      (error) => {
        this.#failures.delete(settled);
        // A kernel that did not compile, or a buffer that was not had, explains the submissions that failed with it.
        const explains = error instanceof CompileError || error instanceof OutOfMemoryError;
        if (error && (explains || !this.#failure)) this.#failure = error;
        return error;
      },
      () => undefined,
    );
    this.#failures.add(settled);
  }

  async #throwFailures(): Promise<void> {
    await Promise.all(this.#failures);
    this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    if (!failure) return;
    // A lost device stays lost; other failures are reported once.
    if (!(failure instanceof DeviceLostError)) this.#failure = undefined;
    throw failure;
  }

  #assertUsable(): void {
    if (this.#closed) throw new DeviceError("this gpu was closed");
    if (this.#failure instanceof DeviceLostError) throw this.#failure;
  }

  /** Destroys all buffers, and the device unless it is the caller's own. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#bindGroups.clear();
    this.#eagerParams.destroy();
    this.#drafter.destroy();
    this.#pool.destroy();
    if (this.#ownsDevice) this.device.destroy();
  }
}

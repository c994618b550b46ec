import { CompileError, DeviceError, DeviceLostError, OutOfMemoryError, ShapeError } from "../errors.ts";
import { type Dtype, Tensor, dtypeBytes, sizeOf } from "../tensor.ts";
import { widenFloat16 } from "../float16.ts";
import { type BufferArena, BufferPool, CountingArena, type MemoryReport, StepArena } from "./buffers.ts";
import { BindGroupCache, type Command, ParamsPages, SubmissionSizer, encodePass } from "./commands.ts";
import { type AnyKernel, type BindingSource, type Dispatch, type Kernel, foldGrid, packParams } from "./kernel.ts";
import { PipelineCache } from "./pipelines.ts";
import { type Profile, Profiler } from "./profile.ts";
import { keptTensors, ScopeStack } from "./scopes.ts";
import type { Plan, Step } from "./step.ts";
import { bufferUsage, mapModeRead } from "./usage.ts";

/** What is known of the adapter behind a device. */
export interface AdapterFacts {
  vendor: string;
  architecture: string;
  device: string;
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
}

/** Gives what a device's promise gives. */
export type WaitForDevice = <R>(done: Promise<R>) => Promise<R>;

type AnyDispatch = Dispatch<string, object, string, object>;

/** A device with its memory, pipelines, scopes and queue: the only code that sees GPUDevice. */
export class Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterFacts;
  /** Bytes copied from the device to the host so far. */
  bytesReadBack = 0;
  /** Floating-point operations submitted so far, as the ops count them. */
  flopsSubmitted = 0;

  readonly #pool: BufferPool;
  readonly #pipelines: PipelineCache;
  readonly #bindGroups: BindGroupCache;
  readonly #eagerParams: ParamsPages;
  readonly #scopes = new ScopeStack();
  readonly #sizer = new SubmissionSizer();
  readonly #constants = new Map<string, Tensor>();
  readonly #unusedBindings: BindingSource["buffer"][] = [];
  readonly #ownsDevice: boolean;
  readonly #wait: WaitForDevice;
  readonly #failures = new Set<Promise<Error | undefined>>();
  readonly #lastScopes: string[] = [];
  #pending: Command[] = [];
  #pendingCost = 0;
  #arena: BufferArena;
  #recording: { commands: Command[]; params: ParamsPages; bindGroups: BindGroupCache } | undefined;
  #plan: Plan | undefined;
  #profiler: Profiler | undefined;
  #failure: Error | undefined;
  #closed = false;

  constructor(options: GpuOptions) {
    const { device } = options;
    this.device = device;
    this.adapter = options.adapter;
    this.#ownsDevice = options.ownsDevice ?? true;
    this.#wait = options.wait ?? ((done) => done);
    this.#pool = new BufferPool(device, { budget: options.memoryBudget ?? Infinity, keepBytes: 512 * 2 ** 20, watch: (failure) => this.#watch(failure) });
    this.#arena = this.#pool;
    this.#pipelines = new PipelineCache(device, (failure) => this.#watch(failure));
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
    return this.track(new Tensor(this, shape, dtype, this.#arena.acquire(bytes, this.scopeName)));
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
    let tensor = this.#constants.get(key);
    if (!tensor) {
      const data = make();
      tensor = new Tensor(this, shape, data instanceof Float32Array ? "f32" : "u32", this.#pool.acquire(data.byteLength, "constants"));
      this.write(tensor, data);
      this.#constants.set(key, tensor);
    }
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
    if (tensor.buffer.id === 0) return; // planned, not allocated
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
    if (this.#plan) {
      this.#plan.dispatches++;
      this.#plan.flops += dispatch.flops ?? 0;
      return;
    }
    const params = this.#recording?.params ?? this.#eagerParams;
    const command = this.#prepare(kernel as unknown as AnyKernel, dispatch as unknown as AnyDispatch, params);
    if (this.#recording) {
      this.#recording.commands.push(command);
      return;
    }
    this.#enqueue(command);
  }

  #prepare(kernel: AnyKernel, dispatch: AnyDispatch, params: ParamsPages): Command {
    const compiled = this.#pipelines.get(kernel, dispatch.prelude, dispatch.overrides ?? {});
    const prelude = dispatch.prelude as Record<string, string | number>;
    const sources = kernel.bindings.map(({ name, index, element }) => {
      const source = dispatch.bindings[name] ?? this.#unused(index, element, prelude);
      const wanted = prelude[element] ?? element;
      if (source.dtype !== wanted) throw new ShapeError(kernel.name, `binding ${name} takes ${wanted}, got ${source.dtype}`, this.scopeName);
      return { index, source };
    });
    const slot = kernel.paramsBytes > 0 ? params.reserve() : undefined;
    if (slot) packParams(kernel, dispatch.params, slot.view, 0);
    const types = [...kernel.aliases, ...kernel.consts].map((name) => `${name}=${prelude[name]}`);
    const constants = Object.entries(dispatch.overrides ?? {}).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`);
    return {
      compiled,
      // A step's bind groups name its own params: they end with it.
      bindGroup: (this.#recording?.bindGroups ?? this.#bindGroups).get(compiled, sources, slot),
      offsets: slot ? [slot.offset] : [],
      grid: foldGrid(dispatch.grid, this.limits.maxComputeWorkgroupsPerDimension),
      scope: this.scopeName,
      kernel: kernel.name,
      variant: [...types, ...constants].join(" "),
      flops: dispatch.flops ?? 0,
      bytes: dispatch.bytes ?? 0,
    };
  }

  /** A small buffer for a binding that an override switches off: one a binding index, since none may be bound twice. */
  #unused(index: number, element: string, prelude: Record<string, string | number>): BindingSource {
    this.#unusedBindings[index] ??= { id: -index, gpuBuffer: this.device.createBuffer({ size: 256, usage: bufferUsage.storage, label: "unused binding" }) };
    return { dtype: (prelude[element] ?? element) as Dtype, buffer: this.#unusedBindings[index], byteOffset: 0, byteLength: 256 };
  }

  #enqueue(command: Command): void {
    this.#pending.push(command);
    this.#pendingCost += SubmissionSizer.cost(command);
    if (this.#pendingCost > this.#sizer.budget || this.#pending.length >= Profiler.passesPerSubmit) this.flush();
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
   * Tensors made inside belong to the step.
   */
  record<R>(name: string, fn: () => R): Step<R> {
    if (this.#recording) throw new ShapeError("record", "a step is already being recorded", this.scopeName);
    this.flush();
    const arena = new StepArena(this.#pool);
    const commands: Command[] = [];
    const params = new ParamsPages(this.device);
    this.#recording = { commands, params, bindGroups: new BindGroupCache(this.device) };
    this.#arena = arena;
    let result: R;
    try {
      result = this.#scopes.run(name, fn, { escape: false });
    } catch (error) {
      arena.close();
      params.destroy();
      throw error;
    } finally {
      this.#recording = undefined;
      this.#arena = this.#pool;
    }
    params.upload();
    return {
      result,
      dispatches: commands.length,
      bytes: arena.bytes,
      replay: () => this.#replay(commands),
      free: () => {
        for (const tensor of keptTensors(result)) tensor.free();
        arena.close();
        params.destroy();
        commands.length = 0;
      },
    };
  }

  /** Counts what `fn` would take: its ops check and plan, but nothing is compiled, allocated or run. */
  plan(fn: () => void): Plan {
    if (this.#recording || this.#plan) throw new ShapeError("plan", "a step is being recorded or planned", this.scopeName);
    const arena = new CountingArena();
    const plan: Plan = { dispatches: 0, flops: 0, peakBytes: 0 };
    this.#plan = plan;
    this.#arena = arena;
    try {
      this.#scopes.run("plan", fn, { escape: false });
    } finally {
      this.#plan = undefined;
      this.#arena = this.#pool;
    }
    return { ...plan, peakBytes: arena.peak };
  }

  #replay(commands: readonly Command[]): void {
    this.#assertUsable();
    this.flush();
    let chunk: Command[] = [];
    let cost = 0;
    for (const command of commands) {
      chunk.push(command);
      cost += SubmissionSizer.cost(command);
      if (cost > this.#sizer.budget || chunk.length >= Profiler.passesPerSubmit) {
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
    this.flush();
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
    for (const unused of this.#unusedBindings) unused?.gpuBuffer.destroy();
    this.#pool.destroy();
    if (this.#ownsDevice) this.device.destroy();
  }
}

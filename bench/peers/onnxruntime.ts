import { createRequire } from "node:module";
import { sizeOf } from "../../src/tensor.ts";
import type { Engine, EngineFacts, Input, Outputs, Work } from "./engine.ts";
import { provideNavigatorGpu } from "./navigator_node.ts";
import { inputValues, toChannelsLast } from "./numbers.ts";
import { inMemoryOrder, memoryShape, onnxModel } from "./onnx_graph.ts";
import { versionOf } from "./packages.ts";

interface OrtTensor {
  getData(): Promise<Float32Array>;
  dispose(): void;
}

interface OrtSession {
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

/** What both packages of ONNX Runtime share. */
interface Ort {
  InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> };
  Tensor: { new (type: string, data: Float32Array | Int32Array, dims: readonly number[]): OrtTensor; fromGpuBuffer(buffer: GPUBuffer, options: object): OrtTensor };
  env: { wasm: { numThreads: number }; webgpu: { device: Promise<GPUDevice> } };
}

/** How a package's inputs reach the device, and how it is waited for. */
interface Transport {
  ort: Ort;
  facts: EngineFacts;
  sessionOptions: object;
  input(values: Float32Array | Int32Array, shape: readonly number[]): Promise<OrtTensor>;
  wait(): Promise<void>;
}

// No node may be computed on the processor in silence.
const onDevice = { executionProviders: ["webgpu"], extra: { session: { disable_cpu_ep_fallback: "1" } }, logSeverityLevel: 3 };

function createEngine({ ort, facts, sessionOptions, input, wait }: Transport, fusedAttention: boolean): Engine {
  return {
    facts,
    async prepare(work: Work) {
      const { bytes, shapes } = onnxModel(work, fusedAttention);
      const session = await ort.InferenceSession.create(bytes, { ...onDevice, ...sessionOptions });
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, of] of Object.entries(work.inputs) as [string, Input][]) {
        const values = inMemoryOrder(inputValues(name, of), of);
        feeds[name] = await input(of.kind === "ids" ? Int32Array.from(values) : values, memoryShape(of.shape));
      }
      let outputs: Record<string, OrtTensor> = {};
      const drop = () => Object.values(outputs).forEach((output) => output.dispose());
      return {
        async run(times) {
          for (let i = 0; i < times; i++) {
            drop();
            outputs = await session.run(feeds);
          }
          await wait();
        },
        async read() {
          const read: Outputs = {};
          for (const [name, shape] of shapes) {
            const values = await outputs[name].getData();
            read[name] = shape.length === 4 ? toChannelsLast(values, shape) : values.slice(0, sizeOf(shape));
          }
          return read;
        },
        async free() {
          drop();
          await session.release();
        },
      };
    },
  };
}

/** ONNX Runtime's WebAssembly build, its WebGPU provider on Dawn for Node; tensors stay on the device. */
export async function openOnnxRuntimeWeb({ fusedAttention }: { fusedAttention: boolean }): Promise<Engine> {
  const { facts, wait } = await provideNavigatorGpu();
  const ort = (await import("onnxruntime-web/webgpu")) as unknown as Ort;
  ort.env.wasm.numThreads = 1;
  return createEngine(
    {
      ort,
      facts: { version: versionOf("onnxruntime-web"), ...facts },
      sessionOptions: { preferredOutputLocation: "gpu-buffer" },
      async input(values, dims) {
        const device = await ort.env.webgpu.device;
        const buffer = device.createBuffer({ size: values.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
        device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
        return ort.Tensor.fromGpuBuffer(buffer, { dataType: values instanceof Int32Array ? "int32" : "float32", dims });
      },
      wait: async () => wait((await ort.env.webgpu.device).queue.onSubmittedWorkDone()),
    },
    fusedAttention,
  );
}

/** ONNX Runtime's native build with its own Dawn. Its API for Node takes and gives host tensors only. */
export async function openOnnxRuntimeNode(): Promise<Engine> {
  const ort: Ort = createRequire(import.meta.url)("onnxruntime-node");
  return createEngine(
    {
      ort,
      facts: { version: versionOf("onnxruntime-node"), device: "the adapter that its own Dawn chooses", driver: "", note: "times include upload and download: its API for Node has no device tensors" },
      sessionOptions: {},
      input: async (values, dims) => new ort.Tensor(values instanceof Int32Array ? "int32" : "float32", values, dims),
      // A run ends when its outputs are on the host.
      wait: async () => undefined,
    },
    false,
  );
}

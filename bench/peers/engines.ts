import type { Engine, Work } from "./engine.ts";

/** An engine that takes part. */
export interface EngineEntry {
  id: string;
  /** Whose times the peers' are compared with; a part of it in other settings; another engine. */
  role: "ours" | "ours without the map" | "peer";
  /** Works that it is measured on; all where absent. */
  takes?: (work: Work) => boolean;
  open: () => Promise<Engine>;
}

/** Every engine in the order of the table; each is loaded in its own process only. */
export const engines: readonly EngineEntry[] = [
  { id: "attnscope", role: "ours", open: async () => (await import("./attnscope.ts")).openAttnscope({ capture: true }) },
  { id: "attnscope, no map", role: "ours without the map", takes: ({ attention }) => attention === "mapped", open: async () => (await import("./attnscope.ts")).openAttnscope({ capture: false }) },
  { id: "onnxruntime-web", role: "peer", open: async () => (await import("./onnxruntime.ts")).openOnnxRuntimeWeb({ fusedAttention: false }) },
  { id: "onnxruntime-web, fused attention", role: "peer", takes: ({ attention }) => attention === "plain", open: async () => (await import("./onnxruntime.ts")).openOnnxRuntimeWeb({ fusedAttention: true }) },
  { id: "onnxruntime-node", role: "peer", open: async () => (await import("./onnxruntime.ts")).openOnnxRuntimeNode() },
  { id: "tfjs", role: "peer", open: async () => (await import("./tfjs.ts")).openTfjs() },
  { id: "jax-js", role: "peer", open: async () => (await import("./jax.ts")).openJax() },
  { id: "reference", role: "peer", takes: () => false, open: async () => (await import("./reference.ts")).reference },
];

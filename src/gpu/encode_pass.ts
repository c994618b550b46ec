import type { Command } from "./commands.ts";

/** Encodes commands into one compute pass. */
export function encodePass(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
  const pass = encoder.beginComputePass();
  let pipeline: GPUComputePipeline | undefined;
  for (const command of commands) {
    if (command.compiled.pipeline !== pipeline) {
      pipeline = command.compiled.pipeline;
      pass.setPipeline(pipeline);
    }
    pass.setBindGroup(0, command.bindGroup, command.offsets);
    pass.dispatchWorkgroups(...command.grid);
  }
  pass.end();
}

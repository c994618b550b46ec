import type { Gpu } from "../gpu/gpu.ts";
import type { ChoosingOp, VariantChoice, VariantChoices } from "../gpu/variant_choices.ts";
import type { Tensor } from "../tensor.ts";
import { chooseVariant, classSide } from "./variants.ts";

/** What plans ask of a device. */
export interface DeviceFacts {
  /** Computes on the CPU: barriers and workgroups are dear there, parallelism beyond a few cores gains nothing. */
  software: boolean;
  /** Lanes of its smallest subgroup; 0 without subgroups. */
  subgroupLanes: number;
  /** What was measured on it. */
  choices?: VariantChoices;
}

/** The facts of a device. */
export function deviceFacts(gpu: Gpu): DeviceFacts {
  const subgroupLanes = gpu.has("subgroups") ? gpu.device.adapterInfo.subgroupMinSize : 0;
  return { software: gpu.adapter.software, subgroupLanes, choices: gpu.variantChoices };
}

/**
 * Workgroups for `count` pieces of work, `perWorkgroup` at a time, of a kernel that strides over them. A software device
 * copies 4 MiB with 64 workgroups in a third of the time that 4,096 take; a GPU needs many to be busy.
 */
export function strideGrid(count: number, perWorkgroup: number, software: boolean): number {
  return Math.min(Math.ceil(count / perWorkgroup), software ? 64 : 8192);
}

/** Workgroups of 64 for an element-wise kernel that strides over `count` elements. */
export function elementGrid(gpu: Gpu, count: number): number {
  return strideGrid(count, 64, gpu.adapter.software);
}

/** Workgroups that share a sum over `size` elements, of 64 runs or more each. */
export function reductionBlocks(size: number, software: boolean): number {
  return Math.min(Math.ceil(size / 4096), software ? 8 : 1024);
}

/** How an element-wise kernel goes over x: by quads of elements where that leaves no rest. */
export function elementPlan(x: Tensor): { vec4: boolean; count: number; grid: number } {
  const vec4 = x.size % 4 === 0;
  const count = vec4 ? x.size / 4 : x.size;
  return { vec4, count, grid: elementGrid(x.gpu, count) };
}

/** Who computes a row in layer norm and softmax: a subgroup, a workgroup, or one invocation. */
export type RowVariant = "subgroup" | "workgroup" | "naive";

/** Variants that can run on rows of `columns` values, the default first. */
function rowVariants(columns: number, { software, subgroupLanes }: DeviceFacts): RowVariant[] {
  const subgroup: RowVariant[] = subgroupLanes > 0 && columns % 4 === 0 ? ["subgroup"] : [];
  return software ? [...subgroup, "naive", "workgroup"] : [...subgroup, "workgroup", "naive"];
}

/** Variant and workgroups for `rows` rows of `columns` values; `wanted` overrules the choice. */
export function planRows(op: ChoosingOp, rows: number, columns: number, device: DeviceFacts, wanted?: RowVariant): { variant: RowVariant; grid: number; choice: VariantChoice } {
  const choice = chooseVariant(op, `rows of ${classSide(columns)}`, rowVariants(columns, device), device, wanted);
  const { variant } = choice;
  // In workgroups of 64: two subgroups of 32 lanes, and any other number as well.
  const rowsAWorkgroup = { subgroup: 2, workgroup: 1, naive: 64 }[variant];
  return { variant, choice, grid: variant === "naive" ? Math.ceil(rows / 64) : strideGrid(rows, rowsAWorkgroup, device.software) };
}

/**
 * Rows that one invocation takes of `work` rows times columns: few long loops where one core does the work of many
 * lanes; elsewhere 16,384 invocations or more, if there are.
 */
export function sumChunk(work: number, software: boolean): number {
  return software ? 64 : Math.max(1, Math.min(64, Math.floor(work / 16_384)));
}

/** The same for a kernel that only maps values: shorter loops, 65,536 invocations or more. */
export function mapChunk(work: number, software: boolean): number {
  return software ? 64 : Math.max(1, Math.min(16, Math.floor(work / 65_536)));
}

/** Rows of a workgroup of the attention kernels that hold rows in lanes (lib/attention_block.wgsl): 8 invocations of 4. */
export const attentionLaneRows = 32;

/** How those kernels cut the channels of a head: the fewest slices that leave an invocation 160 sums, more compile too slowly. */
export function attentionSlices(headSize: number): { slices: number; channels: number } {
  const slices = Math.ceil(headSize / 160);
  return { slices, channels: Math.ceil(headSize / slices) };
}

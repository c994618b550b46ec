/** The part of the package `webgpu` (Dawn for Node) that is used; it ships no types for it. */
declare module "webgpu" {
  export function create(options: string[]): GPU;
  export const globals: Record<string, unknown>;
}

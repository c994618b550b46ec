// Values of GPUBufferUsage, GPUMapMode and GPUShaderStage: the globals of those names exist only once WebGPU is loaded.

export const bufferUsage = {
  mapRead: 0x01,
  copySource: 0x04,
  copyDestination: 0x08,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

export const mapModeRead = 0x01;

export const computeStage = 0x04;

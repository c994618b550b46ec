// The peers are installed by the command alone: the repository's types do not wait for them. Our own narrow types stand
// where they are used.
declare module "onnxruntime-web/webgpu";
declare module "onnx-buf";
declare module "@bufbuild/protobuf";
declare module "@jax-js/jax";
declare module "@tensorflow/tfjs-core";
declare module "@tensorflow/tfjs-backend-webgpu";

export * from "./backend.ts";
export * from "./encode.ts";
export * from "./frontend.ts";
export * from "./md5.ts";
export * from "./message-reader.ts";
export * from "./protocol-error.ts";
export * from "./scram.ts";

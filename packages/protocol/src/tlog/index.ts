export * from "./merkle.ts";
export * from "./proofs.ts";

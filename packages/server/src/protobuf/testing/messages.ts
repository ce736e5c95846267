import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";

/** Messages as protobufjs writes and reads them: another implementation than ours. */

const OIP = `
  syntax = "proto3";
  package inference;
  message InferParameter {
    oneof parameter_choice {
      bool bool_param = 1; int64 int64_param = 2; string string_param = 3; double double_param = 4; uint64 uint64_param = 5;
    }
  }
  message InferTensorContents {
    repeated bool bool_contents = 1; repeated int32 int_contents = 2; repeated int64 int64_contents = 3;
    repeated uint32 uint_contents = 4; repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
    repeated double fp64_contents = 7; repeated bytes bytes_contents = 8;
  }
  message ModelInferRequest {
    message InferInputTensor {
      string name = 1; string datatype = 2; repeated int64 shape = 3; map<string, InferParameter> parameters = 4;
      InferTensorContents contents = 5;
    }
    message InferRequestedOutputTensor { string name = 1; map<string, InferParameter> parameters = 2; }
    string model_name = 1; string model_version = 2; string id = 3; map<string, InferParameter> parameters = 4;
    repeated InferInputTensor inputs = 5; repeated InferRequestedOutputTensor outputs = 6;
    repeated bytes raw_input_contents = 7;
  }
  message ModelInferResponse {
    message InferOutputTensor {
      string name = 1; string datatype = 2; repeated int64 shape = 3; map<string, InferParameter> parameters = 4;
      InferTensorContents contents = 5;
    }
    string model_name = 1; string model_version = 2; string id = 3; map<string, InferParameter> parameters = 4;
    repeated InferOutputTensor outputs = 5; repeated bytes raw_output_contents = 6;
  }
  message ModelStreamInferResponse { string error_message = 1; ModelInferResponse infer_response = 2; }
`;

const BANK = `
  syntax = "proto3";
  package bank.v1;
  enum Status { NEW = 0; CLOSED = 3; }
  message Person {
    string first_name = 1; string note = 2; int64 ssn = 3; repeated int64 account_numbers = 4; double score = 5;
    Person guarantor = 6; map<string, string> tags = 7; map<int32, Person> others = 8; bytes photo = 9; Status status = 10;
    repeated float embedding = 11; repeated string lines = 12; sint64 delta = 13; fixed64 card = 14; uint64 big = 15;
    int64 amount = 16; sfixed32 small = 17; string kind = 18; string value = 19;
  }
  service Desk {
    rpc Score (Person) returns (Person);
    rpc Watch (stream Person) returns (stream Person);
  }
`;

/** One file's types by protobufjs. */
export class Messages {
  readonly #root: protobuf.Root;

  constructor(proto: string) {
    this.#root = protobuf.parse(proto, new protobuf.Root(), { keepCase: true }).root;
    this.#root.resolveAll();
  }

  encode(type: string, value: object): Buffer {
    const of = this.#root.lookupType(type);
    return Buffer.from(of.encode(of.fromObject(value)).finish());
  }

  /** Numbers of 64 bits as text, bytes as Buffers. */
  decode(type: string, bytes: Buffer): Record<string, unknown> {
    const of = this.#root.lookupType(type);
    return of.toObject(of.decode(bytes), { longs: String });
  }

  /** As protoc writes it for --descriptor_set_out. */
  descriptorSet(): Buffer {
    const root = this.#root as protobuf.Root & { toDescriptor(edition: string): protobuf.Message };
    return Buffer.from(descriptor.FileDescriptorSet.encode(root.toDescriptor("proto3")).finish());
  }
}

export const oip: Messages = new Messages(OIP);
export const bank: Messages = new Messages(BANK);

/** Elements of a BYTES tensor as raw contents have them. */
export function rawBytes(...elements: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = Buffer.from(element as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

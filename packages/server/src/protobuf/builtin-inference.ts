/**
 * The Open Inference Protocol v2 with Triton's extensions: what stands where in its messages, as
 * https://github.com/triton-inference-server/common/blob/main/protobuf/grpc_service.proto numbers it (KServe's is a part of it).
 * A type's fields stand below its name: `name number kind`, "*" after what is repeated.
 */
export const INFERENCE_TABLE: string = `
GRPCInferenceService/ServerLive: ServerLiveRequest > ServerLiveResponse
GRPCInferenceService/ServerReady: ServerReadyRequest > ServerReadyResponse
GRPCInferenceService/ModelReady: ModelReadyRequest > ModelReadyResponse
GRPCInferenceService/ServerMetadata: ServerMetadataRequest > ServerMetadataResponse
GRPCInferenceService/ModelMetadata: ModelMetadataRequest > ModelMetadataResponse
GRPCInferenceService/ModelInfer: ModelInferRequest > ModelInferResponse
GRPCInferenceService/ModelStreamInfer: stream ModelInferRequest > stream ModelStreamInferResponse
GRPCInferenceService/ModelConfig: ModelConfigRequest > ModelConfigResponse
GRPCInferenceService/ModelStatistics: ModelStatisticsRequest > ModelStatisticsResponse
GRPCInferenceService/RepositoryIndex: RepositoryIndexRequest > RepositoryIndexResponse
GRPCInferenceService/RepositoryModelLoad: RepositoryModelLoadRequest > RepositoryModelLoadResponse
GRPCInferenceService/RepositoryModelUnload: RepositoryModelUnloadRequest > RepositoryModelUnloadResponse
GRPCInferenceService/SystemSharedMemoryStatus: SystemSharedMemoryStatusRequest > SystemSharedMemoryStatusResponse
GRPCInferenceService/SystemSharedMemoryRegister: SystemSharedMemoryRegisterRequest > SystemSharedMemoryRegisterResponse
GRPCInferenceService/SystemSharedMemoryUnregister: SystemSharedMemoryUnregisterRequest > SystemSharedMemoryUnregisterResponse
GRPCInferenceService/CudaSharedMemoryStatus: CudaSharedMemoryStatusRequest > CudaSharedMemoryStatusResponse
GRPCInferenceService/CudaSharedMemoryRegister: CudaSharedMemoryRegisterRequest > CudaSharedMemoryRegisterResponse
GRPCInferenceService/CudaSharedMemoryUnregister: CudaSharedMemoryUnregisterRequest > CudaSharedMemoryUnregisterResponse
GRPCInferenceService/TraceSetting: TraceSettingRequest > TraceSettingResponse
GRPCInferenceService/LogSettings: LogSettingsRequest > LogSettingsResponse
ServerLiveRequest
ServerLiveResponse
  live 1 bool
ServerReadyRequest
ServerReadyResponse
  ready 1 bool
ModelReadyRequest
  name 1 string, version 2 string
ModelReadyResponse
  ready 1 bool
ServerMetadataRequest
ServerMetadataResponse
  name 1 string, version 2 string, extensions 3 string*
ModelMetadataRequest
  name 1 string, version 2 string
ModelMetadataResponse
  name 1 string, versions 2 string*, platform 3 string, inputs 4 ModelMetadataResponse.TensorMetadata*
  outputs 5 ModelMetadataResponse.TensorMetadata*
ModelMetadataResponse.TensorMetadata
  name 1 string, datatype 2 string, shape 3 int64*
InferParameter
  bool_param 1 bool, int64_param 2 int64, string_param 3 string, double_param 4 double, uint64_param 5 uint64
InferTensorContents
  bool_contents 1 bool*, int_contents 2 int32*, int64_contents 3 int64*, uint_contents 4 uint32*
  uint64_contents 5 uint64*, fp32_contents 6 float*, fp64_contents 7 double*, bytes_contents 8 bytes*
ModelInferRequest
  model_name 1 string, model_version 2 string, id 3 string, parameters 4 map<string,InferParameter>
  inputs 5 ModelInferRequest.InferInputTensor*, outputs 6 ModelInferRequest.InferRequestedOutputTensor*
  raw_input_contents 7 bytes*
ModelInferRequest.InferInputTensor
  name 1 string, datatype 2 string, shape 3 int64*, parameters 4 map<string,InferParameter>
  contents 5 InferTensorContents
ModelInferRequest.InferRequestedOutputTensor
  name 1 string, parameters 2 map<string,InferParameter>
ModelInferResponse
  model_name 1 string, model_version 2 string, id 3 string, parameters 4 map<string,InferParameter>
  outputs 5 ModelInferResponse.InferOutputTensor*, raw_output_contents 6 bytes*
ModelInferResponse.InferOutputTensor
  name 1 string, datatype 2 string, shape 3 int64*, parameters 4 map<string,InferParameter>
  contents 5 InferTensorContents
ModelStreamInferResponse
  error_message 1 string, infer_response 2 ModelInferResponse
ModelConfigRequest
  name 1 string, version 2 string
ModelConfigResponse
  config 1 ModelConfig
ModelStatisticsRequest
  name 1 string, version 2 string
StatisticDuration
  count 1 uint64, ns 2 uint64
InferStatistics
  success 1 StatisticDuration, fail 2 StatisticDuration, queue 3 StatisticDuration
  compute_input 4 StatisticDuration, compute_infer 5 StatisticDuration, compute_output 6 StatisticDuration
  cache_hit 7 StatisticDuration, cache_miss 8 StatisticDuration
InferResponseStatistics
  compute_infer 1 StatisticDuration, compute_output 2 StatisticDuration, success 3 StatisticDuration
  fail 4 StatisticDuration, empty_response 5 StatisticDuration, cancel 6 StatisticDuration
InferBatchStatistics
  batch_size 1 uint64, compute_input 2 StatisticDuration, compute_infer 3 StatisticDuration
  compute_output 4 StatisticDuration
MemoryUsage
  type 1 string, id 2 int64, byte_size 3 uint64
ModelStatistics
  name 1 string, version 2 string, last_inference 3 uint64, inference_count 4 uint64, execution_count 5 uint64
  inference_stats 6 InferStatistics, batch_stats 7 InferBatchStatistics*, memory_usage 8 MemoryUsage*
  response_stats 9 map<string,InferResponseStatistics>
ModelStatisticsResponse
  model_stats 1 ModelStatistics*
ModelRepositoryParameter
  bool_param 1 bool, int64_param 2 int64, string_param 3 string, bytes_param 4 bytes
RepositoryIndexRequest
  repository_name 1 string, ready 2 bool
RepositoryIndexResponse
  models 1 RepositoryIndexResponse.ModelIndex*
RepositoryIndexResponse.ModelIndex
  name 1 string, version 2 string, state 3 string, reason 4 string
RepositoryModelLoadRequest
  repository_name 1 string, model_name 2 string, parameters 3 map<string,ModelRepositoryParameter>
RepositoryModelLoadResponse
RepositoryModelUnloadRequest
  repository_name 1 string, model_name 2 string, parameters 3 map<string,ModelRepositoryParameter>
RepositoryModelUnloadResponse
SystemSharedMemoryStatusRequest
  name 1 string
SystemSharedMemoryStatusResponse
  regions 1 map<string,SystemSharedMemoryStatusResponse.RegionStatus>
SystemSharedMemoryStatusResponse.RegionStatus
  name 1 string, key 2 string, offset 3 uint64, byte_size 4 uint64
SystemSharedMemoryRegisterRequest
  name 1 string, key 2 string, offset 3 uint64, byte_size 4 uint64
SystemSharedMemoryRegisterResponse
SystemSharedMemoryUnregisterRequest
  name 1 string
SystemSharedMemoryUnregisterResponse
CudaSharedMemoryStatusRequest
  name 1 string
CudaSharedMemoryStatusResponse
  regions 1 map<string,CudaSharedMemoryStatusResponse.RegionStatus>
CudaSharedMemoryStatusResponse.RegionStatus
  name 1 string, device_id 2 uint64, byte_size 3 uint64
CudaSharedMemoryRegisterRequest
  name 1 string, raw_handle 2 bytes, device_id 3 int64, byte_size 4 uint64
CudaSharedMemoryRegisterResponse
CudaSharedMemoryUnregisterRequest
  name 1 string
CudaSharedMemoryUnregisterResponse
TraceSettingRequest
  settings 1 map<string,TraceSettingRequest.SettingValue>, model_name 2 string
TraceSettingRequest.SettingValue
  value 1 string*
TraceSettingResponse
  settings 1 map<string,TraceSettingResponse.SettingValue>
TraceSettingResponse.SettingValue
  value 1 string*
LogSettingsRequest
  settings 1 map<string,LogSettingsRequest.SettingValue>
LogSettingsRequest.SettingValue
  bool_param 1 bool, uint32_param 2 uint32, string_param 3 string
LogSettingsResponse
  settings 1 map<string,LogSettingsResponse.SettingValue>
LogSettingsResponse.SettingValue
  bool_param 1 bool, uint32_param 2 uint32, string_param 3 string
`;

/** gRPC's own services, as https://github.com/grpc/grpc-proto numbers them. */

/** Package grpc.health.v1. */
export const HEALTH_TABLE: string = `
HealthCheckRequest
  service 1 string
HealthCheckResponse
  status 1 enum
HealthListRequest
HealthListResponse
  statuses 1 map<string,HealthCheckResponse>
Health/Check: HealthCheckRequest > HealthCheckResponse
Health/List: HealthListRequest > HealthListResponse
Health/Watch: HealthCheckRequest > stream HealthCheckResponse
`;

/** Packages grpc.reflection.v1 and grpc.reflection.v1alpha. */
export const REFLECTION_TABLE: string = `
ServerReflection/ServerReflectionInfo: stream ServerReflectionRequest > stream ServerReflectionResponse
ServerReflectionRequest
  host 1 string, file_by_filename 3 string, file_containing_symbol 4 string
  file_containing_extension 5 ExtensionRequest, all_extension_numbers_of_type 6 string, list_services 7 string
ExtensionRequest
  containing_type 1 string, extension_number 2 int32
ServerReflectionResponse
  valid_host 1 string, original_request 2 ServerReflectionRequest
  file_descriptor_response 4 FileDescriptorResponse, all_extension_numbers_response 5 ExtensionNumberResponse
  list_services_response 6 ListServiceResponse, error_response 7 ErrorResponse
FileDescriptorResponse
  file_descriptor_proto 1 bytes*
ExtensionNumberResponse
  base_type_name 1 string, extension_number 2 int32*
ListServiceResponse
  service 1 ServiceResponse*
ServiceResponse
  name 1 string
ErrorResponse
  error_code 1 int32, error_message 2 string
`;

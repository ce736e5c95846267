/** What `hoopish-agent init` writes: a configuration to fill in, which `check` accepts as soon as the names are real. */
export const SAMPLE_CONFIG: string = `# hoopish-agent: holds the credential and carries calls to the configured targets only.
# Any value may use \${env:NAME} and \${file:PATH}; files are relative to this one. Durations: 250ms, 30s, 5m, 1h.

# The hoopish server. HTTPS_PROXY and NO_PROXY are honoured.
server: wss://gateway.bank.example
# serverCa: ./bank-ca.pem              # trusted instead of Node's own list (which NODE_EXTRA_CA_CERTS extends)
# allowPlainServer: true               # only for ws:// on a network that is protected otherwise

# The name and key that \`hoopish-agent join\` enrols. The key is made there, 0600, and never leaves this machine.
name: edge-1
keyFile: ./agent.key

connections:
  - name: model-x                      # as in the server's configuration
    # http:// or https://, host, port, and a base path if there is one; grpc:// or grpcs://; postgres://host:port/database
    target: http://127.0.0.1:8000
    # Where the credential goes: header | basic (the user's name) | query (the parameter's name).
    # Where it comes from: value | file | command. Leave credential out if the model server wants none.
    credential:
      header: Authorization
      value: "Bearer \${env:MODEL_X_KEY}"
    # credential:
    #   header: Authorization
    #   prefix: "Bearer "
    #   file: /run/secrets/model-x     # read again when it changes
    # credential:
    #   basic: svc-hoopish
    #   command: [vault, kv, get, -field=password, secret/model-x]   # no shell
    #   refresh: 5m
    #   timeout: 10s
    # credential:                        # of a postgres:// target
    #   postgres: model_agent          # the user that the agent signs in as
    #   value: "\${env:DATABASE_PASSWORD}"
    # tls: { ca: ./model-ca.pem, cert: ./client.pem, key: ./client.key }   # private CA, client certificate; for postgres:// it asks for TLS
    # pool: { connections: 64, keepAlive: 4s }   # keepAlive below the model server's own idle limit
    # maxCalls: 256                    # at one time, waiting ones included
    # connectTimeout: 5s
    # headersTimeout: 60s              # until the answer's head; without it the call's own limit counts

# drain: 30s                           # after SIGTERM: how long calls in flight may go on
# logLevel: info                       # debug | info | warn | error; JSON lines on stderr, never bodies or headers
`;

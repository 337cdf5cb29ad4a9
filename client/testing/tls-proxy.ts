/** TLS in front of a server without: what a proxy in front of a node does. The key is for tests alone and protects nothing. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer, type Server } from 'node:tls';

const key = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEILTWtUYwp5oxClVQls0y5ja4UyHUm7oaoUovBwMrFaKOoAoGCCqGSM49
AwEHoUQDQgAENGSqKZw9SoScjJf4wSFjXXHuTlfGiHfYQW6PYxOSlXEp7ccONTYj
VHy7B7b16vWVbjpnshmbCcl69uXaRfeL2Q==
-----END EC PRIVATE KEY-----`;

/** Of `localhost` and `127.0.0.1`, valid for a hundred years, signed by itself. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUM5aA/XIcLwKXbklfOCn3lou+V3swCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTAzNDU0MVoYDzIxMjYxMTAx
MDM0NTQxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ0ZKopnD1KhJyMl/jBIWNdce5OV8aId9hBbo9jE5KVcSntxw41NiNU
fLsHtvXq9ZVuOmeyGZsJyXr25dpF94vZo28wbTAdBgNVHQ4EFgQUrh5PoxTuI9YW
jihebOho0EtPrtYwHwYDVR0jBBgwFoAUrh5PoxTuI9YWjihebOho0EtPrtYwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAMjNHdKpn6BDp0zilrAIqtGc5tyY/XmRHLpHpVq+hyUwAiBy
+iWS1OoPwpRy+4HX+8yX/b0SP/e8YAQ69nGJKuXLbQ==
-----END CERTIFICATE-----`;

export class TlsProxy {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(target: number): Promise<TlsProxy> {
    const server = createServer({ key, cert: certificate }, (socket) => {
      const inner = connect(target, '127.0.0.1');
      socket.pipe(inner).pipe(socket);
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
    });
    // A client that does not trust the certificate hangs up.
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TlsProxy(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}

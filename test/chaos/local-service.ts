/** A Service on loopback: each connection goes to one of the nodes that are ready, in turn; without any it is refused. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class LocalService {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #scheme: string;
  #turn = 0;

  private constructor(ports: () => readonly number[], scheme: string) {
    this.#scheme = scheme;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const ready = ports();
      const port = ready[this.#turn++ % Math.max(1, ready.length)];
      if (port === undefined) {
        client.resetAndDestroy();
        return;
      }
      const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      for (const [socket, other] of [[client, target], [target, client]] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => { other.resetAndDestroy(); });
        socket.once('close', () => {
          this.#sockets.delete(socket);
          if (socket.errored === null) other.end();
        });
        socket.pipe(other);
      }
    });
  }

  /** `ports`: of the gateways that are ready now. `scheme`: what they speak; bytes go through as they are. */
  static async start(ports: () => readonly number[], scheme: 'http' | 'https'): Promise<LocalService> {
    const service = new LocalService(ports, scheme);
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

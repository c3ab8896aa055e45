/** The network as one process sees it: the node's endpoint, through the process's lifeline. */
import type { NodeAddress } from '../domain/node-address.ts';
import type { ByteNetwork, ByteStream, ByteStreamHandlers, Listener } from '../ports/byte-network.ts';
import type { Lifeline } from './lifeline.ts';

export class ProcessNetwork implements ByteNetwork {
  readonly #endpoint: ByteNetwork;
  readonly #lifeline: Lifeline;

  constructor(endpoint: ByteNetwork, lifeline: Lifeline) {
    this.#endpoint = endpoint;
    this.#lifeline = lifeline;
  }

  async dial(address: NodeAddress, timeoutMs: number): Promise<ByteStream> {
    const stream = await this.#lifeline.guard('dial', () => this.#endpoint.dial(address, timeoutMs));
    return new ProcessStream(stream, this.#lifeline);
  }

  async listen(host: string, port: number, onStream: (stream: ByteStream) => void): Promise<Listener> {
    const lifeline = this.#lifeline;
    const listener = await lifeline.guard('listener', () =>
      this.#endpoint.listen(host, port, (stream) => {
        if (lifeline.isDead()) stream.destroy();
        else lifeline.deliver(() => onStream(new ProcessStream(stream, lifeline)));
      }),
    );
    lifeline.count('listener', 1);
    return {
      port: listener.port,
      close: async () => {
        await lifeline.guard('listener', () => listener.close());
        lifeline.count('listener', -1);
      },
    };
  }
}

class ProcessStream implements ByteStream {
  readonly remote: string;
  readonly #stream: ByteStream;
  readonly #lifeline: Lifeline;

  constructor(stream: ByteStream, lifeline: Lifeline) {
    this.#stream = stream;
    this.#lifeline = lifeline;
    this.remote = stream.remote;
    lifeline.count('stream', 1);
  }

  start(handlers: ByteStreamHandlers): void {
    const lifeline = this.#lifeline;
    this.#stream.start({
      onBytes: (bytes) => lifeline.deliver(() => handlers.onBytes(bytes)),
      onDrain: () => lifeline.deliver(() => handlers.onDrain()),
      onClose: (error) => {
        lifeline.deliver(() => {
          lifeline.count('stream', -1);
          handlers.onClose(error);
        });
      },
    });
  }

  write(chunks: readonly Uint8Array[]): boolean {
    return this.#lifeline.isDead() ? true : this.#stream.write(chunks);
  }

  queuedBytes(): number {
    return this.#stream.queuedBytes();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    if (!this.#lifeline.isDead()) this.#stream.end();
  }

  destroy(): void {
    if (!this.#lifeline.isDead()) this.#stream.destroy();
  }
}

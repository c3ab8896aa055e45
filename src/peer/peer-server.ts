/** The receiving half of the peer protocol: accepts streams, bounds their number, watches over them. */
import type { ByteNetwork, ByteStream, Listener } from '../ports/byte-network.ts';
import type { Timer } from '../ports/clock.ts';
import type { Log, LogFields } from '../ports/log.ts';
import type { CloseReason } from './frame-stream.ts';
import type { PeerOptions } from './peer-options.ts';
import { ServerConnection, type ServerConnectionDeps } from './server-connection.ts';

export interface PeerServerDeps extends ServerConnectionDeps {
  readonly network: ByteNetwork;
  readonly log: Log;
}

export class PeerServer {
  readonly #deps: PeerServerDeps;
  readonly #options: PeerOptions;
  readonly #connections = new Set<ServerConnection>();
  #listener: Listener | null = null;
  #sweepTimer: Timer | null = null;
  #stopping: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  /** Warnings in this sweep interval: the first is logged, the others are counted alone. */
  #warnings = 0;

  constructor(deps: PeerServerDeps, options: PeerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Accepts from now on; rejects with the platform's error when the port can't be bound. Returns the port. */
  async listen(host: string, port: number): Promise<number> {
    const listener = await this.#deps.network.listen(host, port, (stream) => { this.#accept(stream); }, ({ remote, error }) => {
      this.#deps.meters.handshakeFailures.add('auth', 1);
      this.#warn({ remote, code: error.code, detail: error.message });
    });
    this.#listener = listener;
    if (this.#stopping === null) this.#sweepLater();
    else await listener.close();
    return listener.port;
  }

  /** Accepts no more and closes everything; resolves when every stream is gone. */
  async stop(): Promise<void> {
    if (this.#stopping === null) {
      this.#stopping = Promise.withResolvers<void>();
      this.#sweepTimer?.cancel();
      for (const connection of [...this.#connections]) connection.close({ kind: 'ended', code: null, detail: 'the node is stopping' });
      if (this.#connections.size === 0) this.#stopping.resolve();
    }
    await Promise.all([this.#listener?.close(), this.#stopping.promise]);
  }

  #accept(stream: ByteStream): void {
    const connection = new ServerConnection(this.#deps, this.#options, stream, {
      onClosed: (closed, reason) => { this.#closed(closed, reason); },
      onGone: (gone) => {
        this.#connections.delete(gone);
        if (this.#connections.size === 0) this.#stopping?.resolve();
      },
    });
    this.#connections.add(connection);
    connection.start();
    if (this.#stopping !== null) {
      connection.close({ kind: 'ended', code: null, detail: 'the node is stopping' });
    } else if (this.#connections.size > this.#options.acceptedConnectionsMax) {
      this.#deps.meters.connectionFailures.add('limit', 1);
      connection.close({ kind: 'ended', code: null, detail: 'too many connections' });
    }
  }

  #closed(connection: ServerConnection, reason: CloseReason): void {
    if (reason.kind !== 'protocol' && reason.kind !== 'refused') return;
    if (reason.kind === 'protocol') {
      const { meters } = this.#deps;
      meters.connectionFailures.add('protocol', 1);
      if (connection.peer === null) meters.handshakeFailures.add('protocol', 1);
    }
    this.#warn({ remote: connection.remote, peer: connection.peer?.name, code: reason.code, detail: reason.detail });
  }

  #warn(fields: LogFields): void {
    if (this.#warnings++ === 0) this.#deps.log.warn('A peer was turned away', fields);
  }

  #sweepLater(): void {
    this.#sweepTimer = this.#deps.clock.after(this.#options.sweepIntervalMs, () => {
      this.#warnings = 0;
      const now = this.#deps.clock.monotonicNow();
      for (const connection of [...this.#connections]) connection.sweep(now);
      this.#sweepLater();
    });
  }
}

/**
 * The only door to the network: authenticated byte streams. TLS stays behind it (runtime/); the simulator replaces
 * bytes, not messages, so framing, pooling, time-outs and back-pressure are simulated too.
 */
import type { DhtError } from '../domain/error-catalogue.ts';
import type { NodeAddress } from '../domain/node-address.ts';

export interface ByteStreamHandlers {
  /** Bytes in order. The buffer belongs to the receiver from now on. May be any split of what was written. */
  onBytes(bytes: Buffer): void;
  /** The write side has room again after `write` returned false. */
  onDrain(): void;
  /** Called exactly once, last. `error` null: closed in order by either side. */
  onClose(error: Error | null): void;
}

export interface ByteStream {
  /** For the log only, never trusted. */
  readonly remote: string;
  /** Set once, synchronously after the stream was handed over; no handler is called before. */
  start(handlers: ByteStreamHandlers): void;
  /**
   * Queues the chunks in order, as one write where the platform can. False: more than the high-water mark is queued,
   * the caller waits for onDrain. The buffers belong to the stream until written. Ignored after close.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes queued and not yet taken by the operating system. */
  queuedBytes(): number;
  /** Stops and restarts onBytes (back-pressure to the sender). */
  pause(): void;
  resume(): void;
  /** Flushes what is queued, then closes. */
  end(): void;
  /** Closes at once; queued bytes are lost. */
  destroy(): void;
}

export interface Listener {
  /** The port really bound: the wanted one, or a free one for 0. */
  readonly port: number;
  close(): Promise<void>;
}

/** A connection that didn't get as far as a stream: its secret was wrong. */
export interface RefusedStream {
  /** For the log only. */
  readonly remote: string;
  readonly error: DhtError;
}

export interface ByteNetwork {
  /**
   * Connects. Rejects with a DhtError: DHT_ERR_PEER_UNAUTHENTICATED when the secret doesn't match, else with the
   * platform's error. The caller bounds the time with `timeoutMs`.
   */
  dial(address: NodeAddress, timeoutMs: number): Promise<ByteStream>;
  /** Accepts streams on `port` (0: any free one) of the interface `host`; tells of those turned away before they were streams. */
  listen(host: string, port: number, onStream: (stream: ByteStream) => void, onRefused?: (refused: RefusedStream) => void): Promise<Listener>;
}

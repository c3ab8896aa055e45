/** What can be set about talking to peers. All limits are per process unless said otherwise. */
export interface PeerOptions {
  /** Milliseconds for TCP, TLS and HELLO together. Higher: slow links get through; lower: dead addresses are given up sooner. */
  readonly dialTimeoutMs: number;
  /** Milliseconds until the next attempt after a failed one; doubles up to the maximum, and calls meanwhile fail at once. */
  readonly dialBackoffMinMs: number;
  /** Bounds how long a peer that came back stays unreachable: keep it below a second. */
  readonly dialBackoffMaxMs: number;
  /** Data connections to one peer at most (protocol G: 8). */
  readonly dataConnectionsMax: number;
  /** Body connections to one peer at most. All messages of one body take the same; higher: fewer bodies wait for each other's bytes. */
  readonly bodyConnectionsMax: number;
  /** Calls in flight on every open data connection from which another one is dialled. Lower: large bodies share less; higher: better batching. */
  readonly spreadCallsMin: number;
  /** Calls in flight on one connection, or waiting for the first one of a channel; above, calls fail as not sent. */
  readonly callsPerConnectionMax: number;
  /** Bytes queued on one data or control connection above which calls fail as not sent, and a server stops reading requests. */
  readonly queuedBytesMax: number;
  /** Milliseconds without a byte from a peer that owes answers, after which a timed-out call breaks the connection. */
  readonly silenceMs: number;
  /** Milliseconds in which a connection with queued bytes has to move STALL_BYTES_MIN of them. */
  readonly stallMs: number;
  /** Milliseconds after which the dialler closes an unused connection. The listener waits LISTENER_IDLE_FACTOR times longer. */
  readonly idleMs: number;
  /** Accepted connections at most; more are closed at once. */
  readonly acceptedConnectionsMax: number;
  /** Requests of one connection in work at a time; then reading pauses. */
  readonly requestsInWorkMax: number;
  /** The same of a body connection, each with up to 1 MiB in the request or in its answer: bounds their memory. */
  readonly bodyRequestsInWorkMax: number;
  /** Bytes of the requests of one connection in work; then reading pauses. */
  readonly requestBytesInWorkMax: number;
  /** Milliseconds between looks at all connections for idle, stalled and silent ones. */
  readonly sweepIntervalMs: number;
}

/** Bytes that make progress (protocol G: 64 KiB in ten seconds). */
export const STALL_BYTES_MIN = 64 * 1024;
/** The listener keeps a connection this many times longer than its dialler, so that the dialler is the one who closes. */
export const LISTENER_IDLE_FACTOR = 5;

/**
 * The one catalogue of errors that leave the program: what each means, its HTTP status, whether the same request may
 * succeed later, and what an operator or a client does about it. docs/errors.md is held against it by a test.
 */
export interface CatalogueEntry {
  readonly status: number;
  readonly retryable: boolean;
  /** One sentence, shown as the problem's title. */
  readonly title: string;
  /** What to do. */
  readonly remedy: string;
}

export const ERRORS = {
  DHT_ERR_NAME_EMPTY: { status: 400, retryable: false, title: 'The object name is empty', remedy: 'Give a name of 1 to 1024 bytes after /v1/objects/.' },
  DHT_ERR_NAME_TOO_LONG: { status: 400, retryable: false, title: 'The object name is longer than 1024 bytes', remedy: 'Shorten the name; the limit counts UTF-8 bytes after percent-decoding.' },
  DHT_ERR_NAME_INVALID: { status: 400, retryable: false, title: 'The object name is not valid', remedy: 'Percent-encode the name once; it must be UTF-8 without NUL.' },
  DHT_ERR_NAME_DOT_SEGMENT: { status: 400, retryable: false, title: 'The object name has a "." or ".." segment', remedy: 'Many clients rewrite such paths silently; choose a name without them.' },
  DHT_ERR_REQUEST_INVALID: { status: 400, retryable: false, title: 'The request is not valid', remedy: 'See the detail for the header or parameter that is wrong.' },
  DHT_ERR_UNAUTHORIZED: { status: 401, retryable: false, title: 'A bearer token is needed', remedy: 'Send Authorization: Bearer with the token; the command line takes that of the gateway from DHT_TOKEN and derives that of the admin port from the cluster secret.' },
  DHT_ERR_NOT_FOUND: { status: 404, retryable: false, title: 'There is no such object', remedy: 'Check the name; names are exact bytes.' },
  DHT_ERR_ROUTE_NOT_FOUND: { status: 404, retryable: false, title: 'There is no such route', remedy: 'See /v1/openapi.json for the routes of this port.' },
  DHT_ERR_METHOD_NOT_ALLOWED: { status: 405, retryable: false, title: 'The route does not allow this method', remedy: 'See the Allow header.' },
  DHT_ERR_CONFLICT: { status: 409, retryable: false, title: 'The node is in a state that does not allow this', remedy: 'See the detail; GET /v1/node tells the state.' },
  DHT_ERR_LENGTH_REQUIRED: { status: 411, retryable: false, title: 'The body has no known length', remedy: 'Send Content-Length or chunked encoding.' },
  DHT_ERR_PRECONDITION_FAILED: { status: 412, retryable: false, title: 'The condition does not hold', remedy: 'Read the object again and decide on its current ETag.' },
  DHT_ERR_TOO_LARGE: { status: 413, retryable: false, title: 'The body is larger than this node takes', remedy: 'The detail names the limit; split the object, or the form into several.' },
  DHT_ERR_RANGE_NOT_SATISFIABLE: { status: 416, retryable: false, title: 'The range is beyond the end of the object', remedy: 'Content-Range tells the size.' },
  DHT_ERR_DIGEST_MISMATCH: { status: 422, retryable: false, title: 'The body does not have the digest that was announced', remedy: 'Nothing was stored. Send the body again.' },
  DHT_ERR_INTERNAL: { status: 500, retryable: false, title: 'The node met an error of its own', remedy: 'Report the request id with the log of the node.' },
  DHT_ERR_NO_QUORUM: { status: 503, retryable: true, title: 'Too few replicas of this object answered', remedy: 'Retry; if it stays, GET /v1/ring shows which nodes are down.' },
  DHT_ERR_OUTCOME_UNKNOWN: { status: 503, retryable: true, title: 'The write may or may not have been applied', remedy: 'Read the object, or retry with the same Idempotency-Key or condition.' },
  DHT_ERR_NOT_READY: { status: 503, retryable: true, title: 'The node is not serving yet', remedy: 'Retry; /readyz tells what it waits for.' },
  DHT_ERR_OVERLOADED: { status: 503, retryable: true, title: 'The node has too much to do', remedy: 'Retry after the time in Retry-After.' },
  DHT_ERR_NO_SEED_ANSWERED: { status: 503, retryable: true, title: 'No seed node answered in time', remedy: 'Check the addresses, the cluster secret and the network policy.' },
  DHT_ERR_DISK_FULL: { status: 507, retryable: true, title: 'The disk is too full for this write', remedy: 'Add nodes or enlarge the volume; deletes still work.' },
  // The following end a start or a connection and reach people through the log and the exit, not over HTTP.
  DHT_ERR_SETTING_INVALID: { status: 500, retryable: false, title: 'A setting is unknown or wrong', remedy: 'The message names it, its value and what is allowed.' },
  DHT_ERR_DATA_DIR_FOREIGN: { status: 500, retryable: false, title: 'The data directory belongs to another node', remedy: 'Give this node its own --data-dir, --host and --port.' },
  DHT_ERR_DATA_DIR_IN_USE: { status: 500, retryable: false, title: 'Another process uses the data directory', remedy: 'Stop that process first.' },
  DHT_ERR_DATA_DIR_NEWER: { status: 500, retryable: false, title: 'The data directory was written by a newer version', remedy: 'Start the newer version; downgrades are not possible.' },
  DHT_ERR_DATA_DAMAGED: { status: 500, retryable: false, title: 'Stored data cannot be read back', remedy: 'Start the other members, then this node again: it comes back by itself as soon as the ring can do without its log. If they are lost for good, keep the directory; what it holds may be all there is.' },
  DHT_ERR_DISK_FAILED: { status: 500, retryable: false, title: 'The disk failed to keep a write', remedy: 'The process ends on purpose; check the volume, then start it again.' },
  DHT_ERR_CLUSTER_FOREIGN: { status: 500, retryable: false, title: 'The peer belongs to another cluster', remedy: 'Check the seeds; two rings never merge.' },
  DHT_ERR_PEER_UNAUTHENTICATED: { status: 500, retryable: false, title: 'The peer does not know the cluster secret', remedy: 'Give all nodes the same cluster secret.' },
  DHT_ERR_PEER_VERSION: { status: 500, retryable: false, title: 'The peer speaks no common protocol version', remedy: 'Upgrade the older node, one minor version at a time.' },
  DHT_ERR_PEER_PROTOCOL: { status: 500, retryable: false, title: 'The peer sent bytes that are no valid frame', remedy: 'Check that the port is the ring port of a dht node.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** A catalogue error on its way: thrown only where an expected outcome can't be returned. */
export class DhtError extends Error {
  override readonly name = 'DhtError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.code = code;
  }
}

/** The door through which a command asks a node. */
export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** The path goes out as it is written: nothing is normalised. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** Milliseconds without any byte after which it fails. */
  readonly idleTimeoutMs: number;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface HttpClient {
  /** Rejects with an Error whose message can be shown when there is no answer or it is longer than the client takes. */
  send(request: HttpRequest): Promise<HttpResponse>;
}

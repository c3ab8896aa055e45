/** The door through which a command asks a node. Bodies of any length pass piece by piece; whoever reads sets the pace. */
import type { BodyReader, BodySource } from '../domain/object-operation.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** The path goes out as it is written: nothing is normalised. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** Milliseconds without any byte after which it fails. */
  readonly idleTimeoutMs: number;
}

/** A request whose body is read while it is sent; exactly `size` bytes. */
export interface HttpUpload extends Omit<HttpRequest, 'body'> {
  readonly source: BodySource;
  readonly size: number;
}

interface HttpHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface HttpResponse extends HttpHead {
  readonly body: Buffer;
}

/** `next` rejects when the answer breaks off. */
export interface HttpDownload extends HttpHead {
  readonly body: BodyReader;
}

/** All reject with an Error whose message can be shown when there is no answer. */
export interface HttpClient {
  /** The whole answer; rejects also when it is longer than the client takes. */
  send(request: HttpRequest): Promise<HttpResponse>;
  /** The same. An answer that comes early ends the sending. */
  upload(request: HttpUpload): Promise<HttpResponse>;
  /** Resolves with the head; the body waits to be read, or cancelled. */
  download(request: HttpRequest): Promise<HttpDownload>;
}

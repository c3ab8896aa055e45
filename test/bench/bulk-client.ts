/**
 * A lean HTTP/1.1 client for large bodies: one socket, one request at a time, one buffer for all it receives, so that
 * little of what is measured is its own. It understands answers with a Content-Length.
 */
import { connect, type Socket } from 'node:net';

const RECEIVE_BYTES = 1024 * 1024;

export class BulkClient {
  readonly #socket: Socket;
  #head = '';
  #status = 0;
  #bodyBytesLeft = -1;
  #bodyBytes = 0;
  #done: { readonly resolve: (answer: BulkAnswer) => void; readonly reject: (error: Error) => void } | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(port: number): Promise<BulkClient> {
    return new Promise((resolve, reject) => {
      const late: { client: BulkClient | null } = { client: null };
      const onread = {
        buffer: Buffer.allocUnsafe(RECEIVE_BYTES),
        callback: (bytes: number, buffer: Uint8Array): boolean => {
          late.client?.onBytes(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
          return true;
        },
      };
      const socket = connect({ port, host: '127.0.0.1', onread });
      late.client = new BulkClient(socket);
      socket.setNoDelay(true);
      socket.once('connect', () => { resolve(late.client as BulkClient); });
      socket.once('error', reject);
      socket.on('error', (error) => { late.client?.fail(error); });
      socket.on('close', () => { late.client?.fail(new Error('the connection was closed')); });
    });
  }

  /** Sends the pieces one behind the other as fast as they are taken. */
  async put(path: string, pieces: readonly Buffer[]): Promise<BulkAnswer> {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const answer = this.#answer();
    this.#socket.write(`PUT ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: ${length}\r\n\r\n`);
    for (const piece of pieces) {
      if (this.#done === null) break;
      if (!this.#socket.write(piece)) await Promise.race([new Promise<void>((resolve) => { this.#socket.once('drain', resolve); }), answer]);
    }
    return await answer;
  }

  async get(path: string): Promise<BulkAnswer> {
    const answer = this.#answer();
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    return await answer;
  }

  close(): void {
    this.#done = null;
    this.#socket.destroy();
  }

  onBytes(bytes: Buffer): void {
    let body = bytes.length;
    if (this.#bodyBytesLeft < 0) {
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#status = Number(this.#head.slice(9, 12));
      this.#bodyBytesLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? 0);
      body = this.#head.length - end - 4;
    }
    this.#bodyBytesLeft -= body;
    this.#bodyBytes += body;
    if (this.#bodyBytesLeft > 0) return;
    const done = this.#done;
    this.#done = null;
    done?.resolve({ status: this.#status, bytes: this.#bodyBytes });
  }

  fail(error: Error): void {
    this.#done?.reject(error);
    this.#done = null;
  }

  #answer(): Promise<BulkAnswer> {
    this.#head = '';
    this.#bodyBytesLeft = -1;
    this.#bodyBytes = 0;
    return new Promise((resolve, reject) => { this.#done = { resolve, reject }; });
  }
}

export interface BulkAnswer {
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
}

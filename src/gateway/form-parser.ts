/**
 * A multipart form, fed piece by piece to busboy, which hands out its files in order while their bytes still come. This
 * wrapper gives busboy's ways to fail (a throw, an event, a write that is never answered) one exit, and bounds what it
 * leaves unbounded: files, parts, and bytes that belong to no file.
 *
 * Invariants: of the files handed out only the last can be unfinished; a file whose form breaks off fails, it never
 * ends early. Held in memory: the piece that is fed, and one stream's high-water mark.
 * Source: [RFC 7578] "Multipart/Form-Data"; [busboy].
 */
import busboy from 'busboy';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodySource } from '../domain/object-operation.ts';

/** Files in a form: bounds the answer, which has an entry for each. */
export const FORM_FILES_MAX = 10_000;
/** Fields and parts without a meaning here are skipped, but not for ever. */
const FORM_PARTS_MAX = 2 * FORM_FILES_MAX;
/** Bytes of a form beside its files: heads of parts, fields, and what stands before the first part and after the last. */
export const FORM_OVERHEAD_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes held of the file that is being read. */
const FILE_HELD_BYTES = 64 * 1024;

/** malformed: not a form, or not to its end. too-large: more of it than is taken. */
export interface FormFailure {
  readonly kind: 'malformed' | 'too-large';
  readonly detail: string;
}

/** One file of a form; rejects when the form breaks off in it. */
export class FormFile implements BodySource {
  readonly #bytes: AsyncIterator<Buffer>;
  readonly #onBytes: (count: number) => void;
  readonly #bytesMax: number;
  #byteCount = 0;
  /** As sent, with its directories; null when the part names none. */
  readonly fileName: string | null;
  readonly contentType: string;
  /** Content-Transfer-Encoding, lower case; "7bit" when there is none. */
  readonly encoding: string;

  constructor(part: { readonly bytes: Readable; readonly fileName: string | null; readonly contentType: string; readonly encoding: string }, bytesMax: number, onBytes: (count: number) => void) {
    this.#bytes = part.bytes[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#bytesMax = bytesMax;
    this.#onBytes = onBytes;
    this.fileName = part.fileName;
    this.contentType = part.contentType;
    this.encoding = part.encoding;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  get isTooLarge(): boolean {
    return this.#byteCount > this.#bytesMax;
  }

  async next(): Promise<Buffer | null> {
    const piece = await this.#take();
    if (this.isTooLarge) throw new DhtError('DHT_ERR_TOO_LARGE', `The file is longer than ${this.#bytesMax} bytes.`);
    return piece;
  }

  /** Takes what is left, so that the form goes on. False when the form broke off. */
  async skip(): Promise<boolean> {
    try {
      while ((await this.#take()) !== null);
      return true;
    } catch {
      return false;
    }
  }

  async #take(): Promise<Buffer | null> {
    const taken = await this.#bytes.next();
    if (taken.done === true) return null;
    this.#byteCount += taken.value.length;
    this.#onBytes(taken.value.length);
    return taken.value;
  }
}

export class FormParser {
  readonly #busboy: busboy.Busboy;
  #failure: FormFailure | null = null;
  /** Ends the wait for busboy, which doesn't answer a write any more once it was destroyed. */
  #onClosed: (() => void) | null = null;
  /** Bytes fed that no file has given away. */
  #overheadBytes = 0;

  private constructor(parser: busboy.Busboy, fileBytesMax: number, onFile: (file: FormFile) => void) {
    this.#busboy = parser;
    parser.on('file', (_field: string, bytes: Readable, { filename, encoding, mimeType }: { filename: string | undefined; encoding: string; mimeType: string }) => {
      // Who reads it learns of its failure by reading; with no listener at all the process would end.
      bytes.on('error', () => undefined);
      // What was in the same piece behind the failure.
      if (this.#failure !== null) return;
      onFile(new FormFile({ bytes, fileName: filename ?? null, contentType: mimeType, encoding }, fileBytesMax, (count) => (this.#overheadBytes -= count)));
    });
    parser.on('filesLimit', () => this.fail({ kind: 'too-large', detail: `The form has more than ${FORM_FILES_MAX} files.` }));
    parser.on('partsLimit', () => this.fail({ kind: 'too-large', detail: `The form has more than ${FORM_PARTS_MAX} parts.` }));
    parser.on('error', (error) => this.#malformed(error));
    parser.on('close', () => this.#onClosed?.());
  }

  /** Null when the request's Content-Type is not that of a form. */
  static create(headers: IncomingHttpHeaders, fileBytesMax: number, onFile: (file: FormFile) => void): FormParser | null {
    if (!/^multipart\/form-data[ \t]*;/i.test(headers['content-type'] ?? '')) return null;
    try {
      // Browsers send names as UTF-8, and directories with them; a name never becomes a path here.
      const parser = busboy({ headers, defParamCharset: 'utf8', preservePath: true, fileHwm: FILE_HELD_BYTES, limits: { files: FORM_FILES_MAX, parts: FORM_PARTS_MAX } });
      return new FormParser(parser, fileBytesMax, onFile);
    } catch {
      return null;
    }
  }

  get failure(): FormFailure | null {
    return this.#failure;
  }

  /** Resolves when the bytes are in files that have room, or the form has failed. */
  async feed(bytes: Buffer): Promise<void> {
    if (this.#failure !== null) return;
    this.#overheadBytes += bytes.length;
    await this.#untilClosedOr((resolve) => this.#busboy.write(bytes, () => resolve()));
    if (this.#overheadBytes > FORM_OVERHEAD_BYTES_MAX) this.fail({ kind: 'too-large', detail: `The form has more than ${FORM_OVERHEAD_BYTES_MAX} bytes beside its files.` });
  }

  /** No more bytes come: resolves when all files were read, or the form has failed. */
  async end(): Promise<void> {
    if (this.#failure === null) await this.#untilClosedOr(() => this.#busboy.end());
  }

  /** The first failure stands; the file that is being read fails with it. */
  fail(failure: FormFailure): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    this.#busboy.destroy(new DhtError('DHT_ERR_REQUEST_INVALID', failure.detail));
  }

  #untilClosedOr(start: (resolve: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#onClosed = resolve;
      try {
        start(resolve);
      } catch (error) {
        this.#malformed(error);
        resolve();
      }
    });
  }

  #malformed(error: unknown): void {
    this.fail({ kind: 'malformed', detail: `The form can not be read: ${error instanceof Error ? error.message : String(error)}.` });
  }
}

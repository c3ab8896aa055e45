/**
 * POST /v1/objects: a form as a browser or `curl -F` sends it. Each file is stored under its file name, one after the
 * other and in order, while it still comes; the answer has a receipt or a problem for each.
 *
 * Invariants: 200 says that the whole form was read; otherwise the answer is a problem whose `parts` tell what became of
 * the files before. A file that breaks off is not stored. Memory: bounded for each form, whatever its size.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { DhtError } from '../domain/error-catalogue.ts';
import { CONTENT_TYPE_BYTES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts';
import type { NodeService } from '../node/node-service.ts';
import { announcesBody } from './body-collector.ts';
import { writeProblem, type Exchange } from './exchange.ts';
import { FormParser, type FormFile } from './form-parser.ts';
import { objectName, parseQueryText } from './object-name.ts';
import { problemMembers, type Problem } from './problem.ts';
import { RequestBody } from './request-body.ts';
import { rawQueryValue } from './request-target.ts';

/** Bytes of an answer: far above 10,000 ordinary receipts. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Headers that mean one object and one body; ignoring them would break a promise. */
const HEADERS_OF_ONE = ['if-match', 'if-none-match', 'if-unmodified-since', 'content-md5', 'content-digest', 'repr-digest', 'content-encoding', 'content-range', 'idempotency-key'];
const PLAIN_ENCODINGS = ['7bit', '8bit', 'binary'];

export async function uploadForm(exchange: Exchange, node: NodeService, query: string, fileBytesMax: number): Promise<void> {
  const { req, res } = exchange;
  const prefix = parseQueryText(rawQueryValue(query, 'prefix') ?? '', NAME_BYTES_MAX);
  if (prefix === null) return exchange.refuse('DHT_ERR_REQUEST_INVALID', `prefix is no UTF-8 of at most ${NAME_BYTES_MAX} bytes.`);
  const wrong = unsupportedHeader(req.headers);
  if (wrong !== null) return exchange.refuse('DHT_ERR_REQUEST_INVALID', `${wrong} is not supported for a form; PUT the files one by one.`);
  if (!announcesBody(req)) return exchange.refuse('DHT_ERR_LENGTH_REQUIRED', 'The request has no body.');
  const storing = new FormStoring(exchange, node, prefix);
  const parser = FormParser.create(req.headers, fileBytesMax, (file) => storing.add(file));
  if (parser === null) return exchange.refuse('DHT_ERR_REQUEST_INVALID', 'Content-Type is not multipart/form-data with a boundary.');
  const body = new RequestBody(req, res, { bytesMax: Number.MAX_SAFE_INTEGER, onBytes: (bytes) => exchange.received(bytes.length) });
  try {
    while (parser.failure === null) {
      const piece = await body.next();
      if (piece === null) break;
      await parser.feed(piece);
      await storing.wholeFilesStored();
      if (storing.answerBytes > ANSWER_BYTES_MAX) parser.fail({ kind: 'too-large', detail: `The answer would be longer than ${ANSWER_BYTES_MAX} bytes.` });
    }
    await parser.end();
  } catch (error) {
    if (body.failure === null) throw error;
    parser.fail({ kind: 'malformed', detail: 'The client broke off.' });
  } finally {
    body.release();
  }
  await storing.allStored();
  if (body.failure !== null) return exchange.metrics.aborted('upload');
  const { failure } = parser;
  if (failure !== null) return exchange.problem(failure.kind === 'too-large' ? 'DHT_ERR_TOO_LARGE' : 'DHT_ERR_REQUEST_INVALID', failure.detail, { parts: storing.results });
  if (storing.results.length === 0) return exchange.refuse('DHT_ERR_REQUEST_INVALID', 'The form has no file.');
  exchange.answerJson(storing.results);
}

/** Stores files one after the other. */
class FormStoring {
  readonly #exchange: Exchange;
  readonly #node: NodeService;
  readonly #prefix: string;
  /** All files but the last, which may still come. */
  #before: Promise<void> = Promise.resolve();
  #all: Promise<void> = Promise.resolve();
  readonly results: unknown[] = [];
  answerBytes = 0;

  constructor(exchange: Exchange, node: NodeService, prefix: string) {
    this.#exchange = exchange;
    this.#node = node;
    this.#prefix = prefix;
  }

  add(file: FormFile): void {
    this.#before = this.#all;
    this.#all = this.#before.then(async () => {
      const result = await this.#store(file);
      await file.skip();
      if (result === null) return;
      this.results.push(result);
      this.answerBytes += Buffer.byteLength(JSON.stringify(result));
    });
  }

  wholeFilesStored(): Promise<void> {
    return this.#before;
  }

  allStored(): Promise<void> {
    return this.#all;
  }

  /** A receipt or a problem; null for the empty part that a browser sends for a file input left empty. Never rejects. */
  async #store(file: FormFile): Promise<unknown> {
    const problem = (members: Pick<Problem, 'code' | 'detail' | 'outcome' | 'currentEtag'>): unknown => ({ name: file.fileName === null ? null : this.#prefix + file.fileName, ...problemMembers({ outcome: 'not-applied', requestId: this.#exchange.requestId, ...members }) });
    if (file.fileName === null) {
      const isRead = await file.skip();
      return isRead && file.byteCount === 0 ? null : problem({ code: 'DHT_ERR_NAME_EMPTY', detail: 'The part has no file name.' });
    }
    const name = objectName(this.#prefix + file.fileName);
    if (name.kind === 'refused') return problem(name);
    if (!PLAIN_ENCODINGS.includes(file.encoding)) return problem({ code: 'DHT_ERR_REQUEST_INVALID', detail: 'The part has a Content-Transfer-Encoding; send its bytes as they are.' });
    const { contentType } = file;
    if (Buffer.byteLength(contentType) > CONTENT_TYPE_BYTES_MAX) return problem({ code: 'DHT_ERR_REQUEST_INVALID', detail: `The part's Content-Type has more than ${CONTENT_TYPE_BYTES_MAX} bytes.` });
    try {
      const outcome = await this.#node.objects.putStream({ name: name.name, source: file, expectedSize: null, verify: () => null, contentType, meta: [], condition: { kind: 'none' }, opId: null, isAwaited: this.#exchange.isAwaited });
      if (outcome.kind === 'stored') return outcome.receipt;
      return problem(file.isTooLarge ? TOO_LARGE : writeProblem(outcome));
    } catch (error) {
      if (file.isTooLarge) return problem(TOO_LARGE);
      if (error instanceof DhtError) return problem({ code: error.code, detail: error.message });
      this.#exchange.log.error('A file of a form could not be stored', { requestId: this.#exchange.requestId, error: error instanceof Error ? error.stack : String(error) });
      return problem({ code: 'DHT_ERR_INTERNAL', detail: 'The log of the node has the details.', outcome: 'unknown' });
    }
  }
}

const TOO_LARGE = { code: 'DHT_ERR_TOO_LARGE', detail: 'The file is longer than this node takes.' } as const;

function unsupportedHeader(headers: IncomingHttpHeaders): string | null {
  return HEADERS_OF_ONE.find((header) => headers[header] !== undefined) ?? null;
}

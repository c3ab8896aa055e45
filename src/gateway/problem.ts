/**
 * Errors as they leave: problem details from the one catalogue. A write's problem always says what became of the write,
 * `outcome: "not-applied"` or `"unknown"`. Source: [RFC 9457] "Problem Details for HTTP APIs".
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { ERRORS, type ErrorCode } from '../domain/error-catalogue.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Seconds after which a retry makes sense: longer than a neighbour needs to be found dead, shorter than patience. */
const RETRY_AFTER_SECONDS = 1;

export type WriteFate = 'not-applied' | 'unknown';

export interface Problem {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly requestId: string;
  /** For writes. */
  readonly outcome?: WriteFate;
  /** After a failed condition: what is there now; null for nothing. */
  readonly currentEtag?: string | null;
  /** After a form that could not be read to its end: a receipt or problem for each file before. */
  readonly parts?: readonly unknown[];
  /** Where the protocol has a more telling status than the catalogue. */
  readonly status?: number;
}

export function problemMembers(problem: Problem): object {
  const { title, retryable } = ERRORS[problem.code];
  const { code, detail, requestId, outcome, currentEtag, parts, status = ERRORS[code].status } = problem;
  return { type: `urn:dht:error:${code}`, title, status, code, detail, retryable, requestId, outcome, currentEtag, parts };
}

export function problemBody(problem: Problem): Buffer {
  return Buffer.from(`${JSON.stringify(problemMembers(problem))}\n`);
}

export function problemHeaders(problem: Problem, bodyBytes: number): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    'content-type': PROBLEM_TYPE,
    'content-length': bodyBytes,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': problem.requestId,
  };
  if (ERRORS[problem.code].status === 503) headers['retry-after'] = String(RETRY_AFTER_SECONDS);
  if (problem.code === 'DHT_ERR_UNAUTHORIZED') headers['www-authenticate'] = 'Bearer';
  return headers;
}

/** The whole answer to bytes that are no HTTP request, for a socket on which no response object exists. */
export function rawProblem(parserCode: string, requestId: string): Buffer {
  const { status, reason, detail } =
    parserCode === 'HPE_HEADER_OVERFLOW'
      ? { status: 431, reason: 'Request Header Fields Too Large', detail: 'The head of the request is longer than 16 KiB.' }
      : parserCode === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? { status: 408, reason: 'Request Timeout', detail: 'The head of the request did not come in time.' }
        : { status: 400, reason: 'Bad Request', detail: `The bytes are no valid HTTP/1.1 request (${parserCode}).` };
  const body = problemBody({ code: 'DHT_ERR_REQUEST_INVALID', detail, requestId, status });
  const head = `HTTP/1.1 ${status} ${reason}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${body.length}\r\nx-request-id: ${requestId}\r\nconnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/**
 * Log lines for operators: one JSON object a line, or text to read on a terminal. Control characters in values are
 * escaped in both, so that a stored name can't forge a line or steer a terminal.
 */
import type { Log, LogFields } from '../ports/log.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface JsonLogDeps {
  /** Takes a whole line with its newline. */
  readonly write: (line: string) => void;
}

export interface JsonLogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  readonly fields: LogFields;
}

export class JsonLog implements Log {
  readonly #deps: JsonLogDeps;
  readonly #options: JsonLogOptions;
  readonly #rank: number;

  constructor(deps: JsonLogDeps, options: JsonLogOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#rank = LEVELS.indexOf(options.level);
  }

  debug(message: string, fields?: LogFields): void {
    this.#line('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line('error', message, fields);
  }

  child(fields: LogFields): Log {
    return new JsonLog(this.#deps, { ...this.#options, fields: { ...this.#options.fields, ...fields } });
  }

  #line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (LEVELS.indexOf(level) < this.#rank) return;
    const time = new Date().toISOString();
    const all = { ...this.#options.fields, ...fields };
    if (this.#options.format === 'json') {
      this.#deps.write(`${JSON.stringify({ time, level, message, ...all })}\n`);
      return;
    }
    const pairs = Object.entries(all).map(([name, value]) => ` ${name}=${shown(value)}`);
    this.#deps.write(`${time} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join('')}\n`);
  }
}

function shown(value: LogFields[string]): string {
  if (typeof value !== 'string') return String(value);
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

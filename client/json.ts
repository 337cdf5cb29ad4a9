import { InvalidArgumentError } from './errors.ts';

/** A value as the JSON text of a payload or metadata: `payload: json({ total: 3 })`. */
export function json(value: unknown): string {
  // JSON.stringify answers undefined for what JSON has no word for.
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new InvalidArgumentError(`${typeof value} has no JSON`);
  return text;
}

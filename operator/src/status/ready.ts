import type { ConditionType } from '../api/sierra-cluster.ts';
import type { Finding, ReasonOf } from './reasons.ts';
import { clipped } from './text.ts';

/** What it is made of. */
export interface ReadyParts {
  readonly specAccepted: Finding<'SpecAccepted'>;
  readonly available: Finding<'Available'>;
  readonly progressing: Finding<'Progressing'>;
  readonly upToDate: Finding<'UpToDate'>;
}

/** True: it serves, and is as the spec asks for. The one to wait for. */
export function ready(parts: ReadyParts): Finding<'Ready'> {
  const { specAccepted, available, progressing, upToDate } = parts;
  if (specAccepted.status !== 'True') return not('SpecRefused', specAccepted);
  if (available.status === 'False') return not('NotAvailable', available);
  if (progressing.status === 'True') return not('Progressing', progressing);
  if (upToDate.status === 'False') return not('NotUpToDate', upToDate);
  const unknown = [available, progressing, upToDate].find(({ status }) => status !== 'True');
  if (unknown !== undefined && unknown.status === 'Unknown') {
    return { ...not('NotKnown', unknown), status: 'Unknown' };
  }
  const message = 'All buckets have leaders, and nothing is left to do.';
  return { type: 'Ready', status: 'True', reason: 'Ready', message };
}

const not = (
  reason: ReasonOf<'Ready'>,
  { message }: Finding<Exclude<ConditionType, 'Ready'>>,
): Finding<'Ready'> => ({ type: 'Ready', status: 'False', reason, message: clipped(message) });

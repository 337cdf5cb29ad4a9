import type { StatusLook } from './look.ts';
import type { Finding } from './reasons.ts';

export function paused({ observed: { spec } }: StatusLook): Finding<'Paused'> {
  if (!spec.paused) {
    return {
      type: 'Paused',
      status: 'False',
      reason: 'NotPaused',
      message: 'spec.paused is false.',
    };
  }
  const message =
    'spec.paused is true: nothing is changed, repaired or replaced. Nodes serve and fail over without the operator. Set it to false to go on.';
  return { type: 'Paused', status: 'True', reason: 'Paused', message };
}

/** The clock's old place: test/worker, test/support/worker and test/support/dispatcher still import it from here. */
export { settle, VirtualClock } from '../../support/orchestration/virtual-clock.ts'

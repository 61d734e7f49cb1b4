/** Both data planes keep the same promises. */
import t from 'tap'
import { dataPlaneSuite } from '../contract/data-plane-suite.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { OverlayCluster } from '../support/overlay/overlay-cluster.ts'

for (const plane of ['kernel', 'proxy'] as const) {
  labTest(t, `data plane ${plane}`, { hosts: 3, clients: 1 }, async (t, lab) => {
    const cluster = new OverlayCluster(lab, [plane])
    try {
      await cluster.start()
      const isKernel = plane === 'kernel'
      await dataPlaneSuite(t, cluster, {
        keepsClientAddress: isKernel,
        hasVips: isKernel,
        retries: !isKernel,
      })
    } finally {
      if (!t.passing()) t.comment(cluster.logs())
      await cluster.stop()
    }
  })
}

import numpy as np

from activelora.evaluation import bootstrap, evaluation, temperature
from activelora.evaluation.judges import ChoiceJudge


class StarsJudge(ChoiceJudge):
    def evaluate(self, log_probs_NC, labels_N, settings):
        document = super().evaluate(log_probs_NC, labels_N, settings)
        off_N = np.abs(temperature.scale(log_probs_NC, 1.0).argmax(axis=1) - labels_N).astype(np.float64)
        document["metrics"]["stars_off"] = float(off_N.mean())
        document["intervals"] |= evaluation.intervals({"stars_off": bootstrap.mean_of(off_N)}, len(off_N), settings)
        return document

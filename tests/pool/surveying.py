"""What reads a pool, for settings alone: the task is the one that they describe."""

from activelora.kinds.registry import make_task
from activelora.pool import column_survey, inspect, survey
from activelora.pool.chunks import ChunkReader


def survey_data(config, *columnar_bytes):
    return survey.survey_data(config, make_task(config.task), *columnar_bytes)


def inspect_data(config):
    return inspect.inspect_data(config, make_task(config.task))


def stream_items(config, *which):
    return survey.stream_items(config, make_task(config.task), *which)


def is_columnar(config, *use):
    return column_survey.is_columnar(config, make_task(config.task), *use)


def shards(config, *which):
    return column_survey.shards(config, make_task(config.task), *which)


def chunk_reader(config, *use, readings=None):
    return ChunkReader(config.data.columns, make_task(config.task), *use, readings=readings)

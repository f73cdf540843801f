"""The schema of a campaign file: types, defaults and their documentation, and nothing that acts.

Every section has a module of its own; what a file's settings may say together stands in :mod:`activelora.rules`.
"""

from activelora.config.acquisition import AcquisitionConfig, ScoringConfig
from activelora.config.adapter import AdapterConfig, CLoraConfig, ConstraintConfig, TrainingConfig
from activelora.config.campaign import (
    CampaignConfig,
    ColumnsConfig,
    DataConfig,
    EvaluationConfig,
    GatesConfig,
    ModelConfig,
    SourceConfig,
    TrackingConfig,
)
from activelora.config.labeling import LabelingConfig
from activelora.config.resources import ModelCacheConfig, NotifyConfig, ResourcesConfig, StepResources, TolerationConfig
from activelora.config.secrets import SecretKeyConfig
from activelora.config.section import Section
from activelora.config.stopping import StoppingConfig
from activelora.config.task import TaskConfig

__all__ = [
    "AcquisitionConfig",
    "AdapterConfig",
    "CLoraConfig",
    "CampaignConfig",
    "ColumnsConfig",
    "ConstraintConfig",
    "DataConfig",
    "EvaluationConfig",
    "GatesConfig",
    "LabelingConfig",
    "ModelCacheConfig",
    "ModelConfig",
    "NotifyConfig",
    "ResourcesConfig",
    "ScoringConfig",
    "SecretKeyConfig",
    "Section",
    "SourceConfig",
    "StepResources",
    "StoppingConfig",
    "TaskConfig",
    "TolerationConfig",
    "TrackingConfig",
    "TrainingConfig",
]

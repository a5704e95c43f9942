from .folders.folder import translate_folder as translate_folder
from .model import Model as Model
from .model import load as load
from .results import Result as Result

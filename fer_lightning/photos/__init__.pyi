from .cutting import crops as crops
from .detector import Detections as Detections, FaceDetector as FaceDetector
from .given_files import (
    VIDEO_SUFFIXES as VIDEO_SUFFIXES,
    is_video as is_video,
    named_files as named_files,
)
from .pictures import (
    SUFFIXES as SUFFIXES,
    Picture as Picture,
    as_picture as as_picture,
    grey as grey,
    read_picture as read_picture,
)
from .video import (
    Frame as Frame,
    Frames as Frames,
    VideoWriter as VideoWriter,
    open_camera as open_camera,
    open_video as open_video,
)
